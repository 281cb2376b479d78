"""`shoal logs`: what a container has written, and with -f what it writes."""

from __future__ import annotations

import itertools
import time

from shoal.api import stdcopy
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import moment


class Options(Flags):
    """The parsed flags."""

    follow: bool
    timestamps: bool
    details: bool
    tail: str
    since: str
    until: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker logs`."""
    parser.toggle("-f", "--follow", dest="follow", help="Go on with what is written from now on")
    parser.toggle("-t", "--timestamps", dest="timestamps", help="Show when each line was written")
    parser.toggle("--details", dest="details", help="Show the extra attributes of each line")
    parser.text("-n", "--tail", dest="tail", default="all", metavar="N", help="Show only the last N lines")
    parser.text("--since", dest="since", help="Show what was written since (10m, a date, Unix seconds)")
    parser.text("--until", dest="until", help="Show what was written before")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Prints the log, stdout to stdout and stderr to stderr."""
    now = time.time()
    inspected = context.client.containers.inspect(options.container)
    response = context.client.containers.logs(
        inspected.text("Id"),
        follow=options.follow,
        timestamps=options.timestamps,
        details=options.details,
        tail=options.tail,
        since=moment(options.since, now) if options.since else "",
        until=moment(options.until, now) if options.until else "",
    )
    output, error_output = context.output, context.error_output
    decoder = None if inspected.flag("Config", "Tty") else stdcopy.StdcopyDecoder()
    try:
        for chunk in response.chunks():
            pieces = decoder.feed(chunk) if decoder else [(stdcopy.STDOUT, chunk)]
            # Lines that came together go out together: a write for each of them costs more than the line.
            for is_output, run_of in itertools.groupby(pieces, lambda piece: piece[0] == stdcopy.STDOUT):
                target = output if is_output else error_output
                target.write(b"".join(payload for _, payload in run_of))
                target.flush()
    finally:
        response.close()
    return 0
