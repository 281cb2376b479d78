"""`shoal network inspect`: everything about networks."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.inspecting import print_found


class Options(Flags):
    """The parsed flags."""

    format: str
    verbose: bool
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.toggle("-v", "--verbose", dest="verbose", help="Show more, for diagnosis")
    parser.add_argument("names", metavar="NETWORK", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    networks = context.client.networks
    return print_found(
        options.names, lambda name: networks.inspect(name, verbose=options.verbose), options.format, context
    )
