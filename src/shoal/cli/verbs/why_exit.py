"""`shoal why exit`: what ended a container, in plain words."""

from __future__ import annotations

import datetime
import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import duration_words
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Document

_NEVER = "0001-01-01T00:00:00Z"


class Options(Flags):
    """The parsed flags."""

    format: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal why exit`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Prints how it is, what ended its last run, and, in a line each, what ended those before."""
    told = context.client.containers.exits(options.container)
    if options.format:
        field_rows([told.raw], options.format, context)
        return 0
    ends = told.children("Exits")
    context.print(_state(told, ends))
    if not ends:
        return 0
    last, *earlier = ends
    context.print(last.text("Sentence"))
    if hint := last.text("Hint"):
        context.print(f"hint: {hint}")
    if earlier:
        context.print("\nBefore that:")
    for end in earlier:
        context.print(f"  {_local(end.text('FinishedAt'))}  {end.text('Sentence')}")
    return 0


def _state(told: Document, ends: list[Document]) -> str:
    """`web ended 2 minutes ago.`, or what else it does."""
    name, status = told.text("Name").removeprefix("/"), told.text("Status")
    if status in ("running", "paused"):
        since = f"{name} is {status}, and has been up for {_since(told.text('StartedAt'))}."
        return since + (" Its run before:" if ends else " It has not ended before.")
    if not ends:
        return f"{name} was never started." if told.text("StartedAt") == _NEVER else f"{name} ended, nobody noted how."
    ended = "failed to start" if ends[0].text("Cause") == "start-failed" else "ended"
    back = {"restarting": ", and is about to be started again", "removed": ", and was removed"}.get(status, "")
    return f"{name} {ended} {_since(ends[0].text('FinishedAt'))} ago{back}."


def _since(moment: str) -> str:
    words = duration_words(max(time.time() - _parsed(moment).timestamp(), 0))
    return words[0].lower() + words[1:]


def _local(moment: str) -> str:
    return _parsed(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _parsed(moment: str) -> datetime.datetime:
    """A time of the API, to the second: it may have more digits than datetime reads."""
    return datetime.datetime.fromisoformat(moment[:19] + "+00:00")
