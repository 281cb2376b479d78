"""`shoal artifact get`: writes a file of an artifact to standard output, or to a file."""

from __future__ import annotations

from shoal.cli.archives import deliver_archive
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context


class Options(Flags):
    """The parsed flags."""

    output: str
    artifact: str
    file: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.text("-o", "--output", dest="output", help="Write to a file instead")
    parser.add_argument("artifact", metavar="ARTIFACT")
    parser.add_argument("file", metavar="[FILE]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Writes the file that is named, or the only one."""
    deliver_archive(context.client.artifacts.read(options.artifact, options.file or ""), options.output, context)
    return 0
