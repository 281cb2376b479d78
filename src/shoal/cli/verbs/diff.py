"""`shoal diff`: which files of a container differ from its image."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context

_LETTERS = "CAD"  # by the API's kind: changed, added, deleted


class Options(Flags):
    """The parsed words."""

    container: str


def configure(parser: Parser) -> None:
    """Adds the words of `docker diff`."""
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Prints a letter and a path for each."""
    for change in context.client.containers.changes(options.container):
        context.print(f"{_LETTERS[change.number('Kind')]} {change.text('Path')}")
    return 0
