"""`shoal rm`: removes containers."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.errors import NotFound, ShoalError


class Options(Flags):
    """The parsed flags."""

    force: bool
    volumes: bool
    link: bool
    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker rm`."""
    parser.toggle("-f", "--force", dest="force", help="Kill a running container first")
    parser.toggle("-v", "--volumes", dest="volumes", help="Remove its anonymous volumes too")
    parser.toggle("-l", "--link", dest="link", help="Remove the link, not the container")
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Removes each. One that does not exist is told, and with -f is no failure."""
    code = 0
    for ref in options.containers:
        try:
            # `rm /name` works too: inspect shows names with the slash.
            context.client.containers.remove(
                ref.removeprefix("/"), force=options.force, volumes=options.volumes, link=options.link
            )
            context.print(ref)
        except NotFound as error:
            context.report(error)
            code = code if options.force else 1
        except ShoalError as error:
            context.report(error)
            code = 1
    return code
