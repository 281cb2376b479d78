"""`shoal unpause`: lets the processes of frozen containers go on."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed words."""

    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the words of `docker unpause`."""
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Does it to each."""

    def change(ref: str) -> None:
        context.client.containers.change(ref, "unpause")

    return for_each(options.containers, change, context)
