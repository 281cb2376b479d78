"""`shoal artifact ls`: what was pulled and is no image, in a table."""

from __future__ import annotations

import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size, duration_words
from shoal.cli.verbs.listing import Row, print_rows
from shoal.client.document import Document

_HEADINGS = {"Name": "NAME", "Type": "TYPE", "Digest": "DIGEST", "Files": "FILES", "Pulled": "PULLED", "Size": "SIZE"}
_COLUMNS = ("Name", "Type", "Files", "Pulled", "Size")


class Options(Flags):
    """The parsed flags."""

    format: str
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only names")


def run(options: Options, context: Context) -> int:
    """Prints the list, by name."""
    artifacts = context.client.artifacts.list()
    if options.quiet:
        for artifact in artifacts:
            context.print(artifact.text("Name"))
        return 0
    now = time.time()
    print_rows([_row(artifact, now) for artifact in artifacts], _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(artifact: Document, now: float) -> Row:
    files = [file.text("Title") for file in artifact.children("Files")]
    return {
        "Name": artifact.text("Name"),
        "Type": artifact.text("ArtifactType"),
        "Digest": artifact.text("Digest"),
        "Files": ", ".join(name if not name.startswith("sha256:") else name[7:19] for name in files),
        "Pulled": f"{duration_words(max(0.0, now - artifact.number('Pulled')))} ago",
        "Size": decimal_size(artifact.number("Size")),
    }
