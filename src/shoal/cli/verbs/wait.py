"""`shoal wait`: waits until containers stop, and prints their exit codes."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each
from shoal.errors import Internal


class Options(Flags):
    """The parsed words."""

    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the words of `docker wait`."""
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Waits for each in turn."""

    def wait(ref: str) -> str:
        result = context.client.containers.wait(ref).result()
        problem = result.text("Error", "Message")
        if problem:
            raise Internal(problem)
        return str(result.number("StatusCode"))

    return for_each(options.containers, wait, context)
