"""`shoal port rm`: ports of a container that are to be published no longer, at once where it runs."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.container.ports import parse_ports
from shoal.cli.context import Context
from shoal.cli.verbs.port import print_ports
from shoal.client.document import Json


class Options(Flags):
    """The parsed words."""

    container: str
    ports: list[str]


def configure(parser: Parser) -> None:
    """Adds the words: ports as for `run -p`; without a host port every publication of the container's port."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("ports", metavar="PORT", nargs="+")


def run(options: Options, context: Context) -> int:
    """Ends all of them or none, and prints where the container's other ports are."""
    removed: dict[str, Json] = {}
    for text in options.ports:
        for key, bindings in parse_ports([text], ()).bindings.items():
            removed[key] = [*_listed(removed.get(key)), *bindings] if ":" in text else []
    print_ports(context.client.containers.change_ports(options.container, {"Remove": removed}).child("Ports"), context)
    return 0


def _listed(bindings: Json) -> list[Json]:
    return bindings if isinstance(bindings, list) else []
