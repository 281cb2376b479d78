"""`shoal rename`: gives a container another name."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context


class Options(Flags):
    """The parsed words."""

    container: str
    new_name: str


def configure(parser: Parser) -> None:
    """Adds the words of `docker rename`."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("new_name", metavar="NEW_NAME")


def run(options: Options, context: Context) -> int:
    """Renames it."""
    context.client.containers.rename(options.container, options.new_name)
    return 0
