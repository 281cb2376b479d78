"""`shoal top`: the processes of a container, as ps on the engine's machine shows them."""

from __future__ import annotations

from shoal.cli.arguments import REMAINDER, Flags, Parser
from shoal.cli.context import Context
from shoal.cli.table import aligned

_LEAST_WIDTH = 20


class Options(Flags):
    """The parsed words."""

    container: str
    arguments: list[str]


def configure(parser: Parser) -> None:
    """Adds the words of `docker top`."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("arguments", metavar="ps OPTIONS", nargs=REMAINDER)


def run(options: Options, context: Context) -> int:
    """Prints the table."""
    table = context.client.containers.top(options.container, " ".join(options.arguments))
    titles = table.texts("Titles")
    rows = table.value("Processes")
    cells = [[str(cell) for cell in row] for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    # A process without arguments has no last column.
    padded = [[*row, *[""] * (len(titles) - len(row))] for row in cells]
    for line in aligned([titles, *padded], _LEAST_WIDTH):
        context.print(line)
    return 0
