"""`shoal debug`: a shell in exactly the state that a step of a build came to, or that a failed one left."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.shelling import shell_in


class Options(Flags):
    """The parsed flags."""

    build: str
    step: str


def configure(parser: Parser) -> None:
    """Adds the words of the verb, which Docker does not have."""
    parser.add_argument("build", metavar="BUILD")
    parser.add_argument("step", metavar="[STEP]", nargs="?")


def run(options: Options, context: Context) -> int:
    """The exit code of the shell. `BUILD` is the name or the id of its image, or what a failed build named."""
    state = context.client.images.build_state(options.build, options.step) if options.step else options.build
    return shell_in(state, context)
