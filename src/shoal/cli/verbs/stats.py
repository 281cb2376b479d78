"""`shoal stats`: what containers use, once or every second until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Sequence

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.usage import usage_row
from shoal.cli.verbs.listing import print_rows
from shoal.client.document import Document
from shoal.errors import NotFound

_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_HEADINGS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_INTERVAL_S = 1.0
_CLEAR_SCREEN = "\033[H\033[J"


class Options(Flags):
    """The parsed flags."""

    all: bool
    no_stream: bool
    no_trunc: bool
    format: str
    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker stats`."""
    parser.toggle("-a", "--all", dest="all", help="Show all containers, not only the running ones")
    parser.toggle("--no-stream", dest="no_stream", help="Show one sample and end")
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten anything")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.add_argument("containers", metavar="CONTAINER", nargs="*")


def run(options: Options, context: Context) -> int:
    """Prints a table for each second: the CPU's share is that of the second before."""
    for ref in options.containers:
        context.client.containers.inspect(ref)  # a name that there is not is told before anything is measured
    before = _samples(options, context)
    while True:
        time.sleep(_INTERVAL_S)
        now = _samples(options, context)
        rows = [usage_row(before.get(id, sample), sample, whole=options.no_trunc) for id, sample in now.items()]
        if not options.no_stream and context.stdout.isatty():
            context.stdout.write(_CLEAR_SCREEN)
        print_rows(rows, _COLUMNS, _HEADINGS, options.format, context)
        context.stdout.flush()
        if options.no_stream:
            return 0
        before = now


def _samples(options: Options, context: Context) -> dict[str, Document]:
    """A sample of each container that is there, by id."""
    found = {}
    for ref in options.containers or _listed(options, context):
        try:
            sample = context.client.containers.sample(ref)
        except NotFound:
            continue  # removed meanwhile
        found[sample.text("id")] = sample
    return found


def _listed(options: Options, context: Context) -> Sequence[str]:
    return [container.text("Id") for container in context.client.containers.list(all=options.all)]
