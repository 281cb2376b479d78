"""`shoal image inspect`: everything about images."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.inspecting import print_found


class Options(Flags):
    """The parsed flags."""

    format: str
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker image inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("names", metavar="IMAGE", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    return print_found(options.names, context.client.images.inspect, options.format, context)
