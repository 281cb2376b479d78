"""`shoal network disconnect`: takes a container out of a network."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context


class Options(Flags):
    """The parsed flags."""

    force: bool
    network: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network disconnect`."""
    parser.toggle("-f", "--force", dest="force", help="Whatever state the container is in")
    parser.add_argument("network", metavar="NETWORK")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Disconnects it."""
    context.client.networks.disconnect(options.network, options.container, force=options.force)
    return 0
