"""`shoal network rm`: removes networks."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.errors import NotFound, ShoalError


class Options(Flags):
    """The parsed flags."""

    force: bool
    networks: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network rm`."""
    parser.toggle("-f", "--force", dest="force", help="Let those that are not there be")
    parser.add_argument("networks", metavar="NETWORK", nargs="+")


def run(options: Options, context: Context) -> int:
    """Removes each that no container is in."""
    code = 0
    for ref in options.networks:
        try:
            context.client.networks.remove(ref)
            context.print(ref)
        except ShoalError as error:
            if not (options.force and isinstance(error, NotFound)):
                context.report(error)
                code = 1
    return code
