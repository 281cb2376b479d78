"""`shoal debug`: a shell in exactly the state that a failed step of a build left."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.shelling import shell_in


class Options(Flags):
    """The parsed flags."""

    state: str


def configure(parser: Parser) -> None:
    """Adds the word of the verb, which Docker does not have."""
    parser.add_argument("state", metavar="STATE")


def run(options: Options, context: Context) -> int:
    """The exit code of the shell. `STATE` is what the failed build named."""
    return shell_in(options.state, context)
