"""`shoal artifact rm`: forgets artifacts and their files."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed words."""

    artifacts: list[str]


def configure(parser: Parser) -> None:
    """Adds the words of the verb, which Docker does not have."""
    parser.add_argument("artifacts", metavar="ARTIFACT", nargs="+")


def run(options: Options, context: Context) -> int:
    """Removes each."""
    return for_each(options.artifacts, context.client.artifacts.remove, context)
