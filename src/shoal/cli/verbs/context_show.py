"""`shoal context show`: the name of the context in use."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.endpoint import context_name


class Options(Flags):
    """Nothing to choose."""


def configure(parser: Parser) -> None:
    """Adds nothing: `docker context show` has no flags."""


def run(_options: Options, context: Context) -> int:
    """Prints it."""
    context.print(context_name(context))
    return 0
