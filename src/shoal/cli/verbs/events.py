"""`shoal events`: what happens, as it happens."""

from __future__ import annotations

import json
import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import moment
from shoal.cli.template.evaluate import Template
from shoal.cli.verbs.listing import parse_filters
from shoal.client.document import Document


class Options(Flags):
    """The parsed flags."""

    since: str
    until: str
    filter: list[str]
    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker events`."""
    parser.text("--since", dest="since", help="Show what happened since (10m, a date, Unix seconds)")
    parser.text("--until", dest="until", help="End there")
    parser.texts("-f", "--filter", dest="filter", help="Show only those that match (NAME=VALUE)")
    parser.text("--format", dest="format", help="json, or a Go template")


def run(options: Options, context: Context) -> int:
    """Prints events until `--until` or Ctrl-C."""
    now = time.time()
    since = moment(options.since, now) if options.since else ""
    until = moment(options.until, now) if options.until else ""
    template = Template(options.format) if options.format not in ("", "json") else None
    for event in context.client.system.events(since=since, until=until, filters=parse_filters(options.filter)):
        if template is not None:
            context.print(template.render(event.raw))
        elif options.format == "json":
            context.print(json.dumps(event.raw, separators=(",", ":"), ensure_ascii=False))
        else:
            context.print(event_line(event))
        context.stdout.flush()
    return 0


def event_line(event: Document) -> str:
    """`2026-08-01T12:00:00.000000001+00:00 container start ID (image=busybox, name=web)`."""
    nanoseconds = event.number("timeNano") or event.number("time") * 10**9
    seconds, fraction = divmod(nanoseconds, 10**9)
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{fraction:09d}{zone[:3]}:{zone[3:]}"
    attributes = event.mapping("Actor", "Attributes")
    shown = ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes))
    line = f"{stamp} {event.text('Type')} {event.text('Action')} {event.text('Actor', 'ID')}"
    return f"{line} ({shown})" if shown else line
