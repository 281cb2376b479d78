"""`shoal context rm`: forgets contexts."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore
from shoal.cli.endpoint import DEFAULT_CONTEXT, chosen_context, context_name
from shoal.cli.verbs.each import for_each
from shoal.errors import Conflict, ShoalError


class Options(Flags):
    """The parsed flags."""

    force: bool
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker context rm`."""
    parser.toggle("-f", "--force", dest="force", help="Forget one that is in use, and let one that is not there be")
    parser.add_argument("names", metavar="CONTEXT", nargs="+")


def run(options: Options, context: Context) -> int:
    """Forgets each, and prints its name."""
    store = ContextStore(context.config_directory)

    def remove(name: str) -> None:
        if name == DEFAULT_CONTEXT:
            raise Conflict('context "default" cannot be removed')
        if name == context_name(context) and not options.force:
            raise Conflict(f'context "{name}" is in use, set -f flag to force remove', fix="shoal context use default")
        try:
            store.remove(name)
        except ShoalError:
            if not options.force:
                raise
        if chosen_context(context) == name:
            store.choose("")

    return for_each(options.names, remove, context)
