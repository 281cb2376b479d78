"""`shoal move`: stops containers and starts them again, in virtual machines of their own or without."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser, UsageError
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed flags."""

    containers: list[str]
    isolation: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal move`."""
    parser.text("--isolation", dest="isolation", help="vm: a kernel of its own; default: the host's")
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Moves each: its id, name, address, ports, volumes and files stay. Raises: UsageError."""
    if not options.isolation:
        raise UsageError("shoal move needs to know where to", fix="--isolation vm, or --isolation default")
    return for_each(options.containers, lambda ref: context.client.containers.move(ref, options.isolation), context)
