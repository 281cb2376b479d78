"""`shoal commit`: an image out of what a container changed."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.references import split_tag


class Options(Flags):
    """The parsed flags."""

    author: str
    change: list[str]
    message: str
    pause: bool
    container: str
    reference: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of `docker commit`."""
    parser.text("-a", "--author", dest="author", help="Author of the image")
    parser.texts("-c", "--change", dest="change", help="Apply a Dockerfile instruction (CMD, ENV, ...)")
    parser.text("-m", "--message", dest="message", help="Comment in the image's history")
    parser.toggle("-p", "--pause", dest="pause", default=True, help="Pause the container meanwhile (the default)")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("reference", metavar="REPOSITORY[:TAG]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Prints the new image's id."""
    repo, tag = split_tag(options.reference or "")
    made = context.client.archives.commit(
        options.container,
        repo=repo,
        tag=tag,
        author=options.author,
        comment=options.message,
        changes=options.change,
        pause=options.pause,
    )
    context.print(made)
    return 0
