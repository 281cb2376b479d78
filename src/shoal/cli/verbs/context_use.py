"""`shoal context use`: which context counts from now on, where neither flag nor variable says otherwise."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore
from shoal.cli.endpoint import DEFAULT_CONTEXT


class Options(Flags):
    """The parsed words."""

    name: str


def configure(parser: Parser) -> None:
    """Adds the word of `docker context use`."""
    parser.add_argument("name", metavar="CONTEXT")


def run(options: Options, context: Context) -> int:
    """Writes it down, prints its name, and tells what still goes before it."""
    ContextStore(context.config_directory).choose("" if options.name == DEFAULT_CONTEXT else options.name)
    context.print(options.name)
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if context.environment.get(variable):
            context.warn(
                f"Warning: {variable} environment variable overrides the active context. To use "
                f'"{options.name}", either set the global --context flag, or unset {variable} environment variable.'
            )
    context.warn(f'Current context is now "{options.name}"')
    return 0
