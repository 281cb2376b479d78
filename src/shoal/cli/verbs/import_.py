"""`shoal import`: an image from a tar of a file system."""

from __future__ import annotations

from shoal.cli.archives import read_archive
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.client.document import Document


class Options(Flags):
    """The parsed flags."""

    change: list[str]
    message: str
    platform: str
    source: str
    reference: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of `docker import`."""
    parser.texts("-c", "--change", dest="change", help="Apply a Dockerfile instruction (CMD, ENV, ...)")
    parser.text("-m", "--message", dest="message", help="Comment in the image's history")
    parser.text("--platform", dest="platform", help="Platform of the image (OS[/ARCH[/VARIANT]])")
    parser.add_argument("source", metavar="FILE|URL|-")
    parser.add_argument("reference", metavar="REPOSITORY[:TAG]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Prints the new image's id."""

    def show(message: Document) -> None:
        if message.text("status") and not message.mapping("progressDetail"):
            context.print(message.text("status"))

    images = context.client.images
    repo, changes = options.reference or "", options.change
    if options.source.startswith(("http://", "https://")):
        for message in images.import_archive(
            options.source, (), repo=repo, changes=changes, message=options.message, platform=options.platform
        ):
            show(message)
        return 0
    with read_archive(options.source, context) as archive:
        for message in images.import_archive(
            "-", archive.chunks(), repo=repo, changes=changes, message=options.message, platform=options.platform
        ):
            show(message)
    return 0
