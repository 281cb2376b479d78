"""`shoal export`: the root file system of a container as a tar."""

from __future__ import annotations

from shoal.cli.archives import deliver_archive
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.errors import InvalidArgument


class Options(Flags):
    """The parsed flags."""

    output: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker export`."""
    parser.text("-o", "--output", dest="output", metavar="FILE", help="Write to this file instead of stdout")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Writes the archive."""
    if not options.output and context.stdout.isatty():
        raise InvalidArgument(
            "cowardly refusing to export to a terminal", fix="shoal export -o FILE CONTAINER, or redirect"
        )
    deliver_archive(context.client.archives.export(options.container), options.output, context)
    return 0
