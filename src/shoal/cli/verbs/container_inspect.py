"""`shoal container inspect`: everything about containers."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.inspecting import print_found


class Options(Flags):
    """The parsed flags."""

    format: str
    size: bool
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker container inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.toggle("-s", "--size", dest="size", help="Show the sizes too")
    parser.add_argument("names", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    containers = context.client.containers
    return print_found(options.names, lambda name: containers.inspect(name, size=options.size), options.format, context)
