"""A container's log, as it goes from the engine to the server. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A piece of a log: `stream` is 1 for stdout, 2 for stderr; `data` has its newline, unless the line goes on."""

    stream: int
    time_ns: int
    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogStream:
    """A container's log, the oldest entry first; with `tty` there is one stream only and it is sent unframed."""

    tty: bool
    entries: AsyncIterator[LogEntry]
