"""`shoal history`: how an image was made, newest step first."""

from __future__ import annotations

import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.platforms import check_platform
from shoal.cli.quantities import decimal_size, duration_words, rfc3339
from shoal.cli.table import ellipsis
from shoal.cli.verbs.images import shown_id
from shoal.cli.verbs.listing import Row, print_rows
from shoal.client.document import Document

_COLUMNS = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
_HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


class Options(Flags):
    """The parsed flags."""

    human: bool
    no_trunc: bool
    quiet: bool
    format: str
    platform: str
    image: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker history`."""
    parser.toggle("-H", "--human", dest="human", default=True, help="Print sizes and dates for people")
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten anything")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only ids")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.text("--platform", dest="platform", help="Only this one, if it has several (OS[/ARCH[/VARIANT]])")
    parser.add_argument("image", metavar="IMAGE")


def run(options: Options, context: Context) -> int:
    """Prints the steps."""
    check_platform(context.client, options.image, options.platform)
    steps = context.client.images.history(options.image)
    if options.quiet:
        for step in steps:
            context.print(shown_id(step.text("Id"), whole=options.no_trunc))
        return 0
    now = time.time()
    rows = [_row(step, now, options) for step in steps]
    print_rows(rows, _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(step: Document, now: float, options: Options) -> Row:
    command = step.text("CreatedBy").replace("\t", " ")
    created, size = step.number("Created"), step.number("Size")
    moment = rfc3339(created)
    since = f"{duration_words(now - created)} ago" if options.human else moment
    return {
        "ID": shown_id(step.text("Id"), whole=options.no_trunc),
        "CreatedSince": since,
        "CreatedAt": moment,
        "CreatedBy": command if options.no_trunc else ellipsis(command, 45),
        "Size": decimal_size(size) if options.human else str(size),
        "Comment": step.text("Comment"),
    }
