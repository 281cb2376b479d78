"""`shoal port add`: publishes ports of a container that exists, at once where it runs."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.container.ports import parse_ports
from shoal.cli.context import Context
from shoal.cli.verbs.port import print_ports


class Options(Flags):
    """The parsed words."""

    container: str
    ports: list[str]


def configure(parser: Parser) -> None:
    """Adds the words: ports as for `run -p`."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("ports", metavar="PORT", nargs="+")


def run(options: Options, context: Context) -> int:
    """Publishes all of them or none, and prints where the container's ports are then."""
    added = parse_ports(options.ports, ()).bindings
    print_ports(context.client.containers.change_ports(options.container, {"Add": dict(added)}).child("Ports"), context)
    return 0
