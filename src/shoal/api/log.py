"""A container's log, as it goes from the engine to the server. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """A piece of a log: `stream` is 1 for stdout, 2 for stderr; `data` has its newline, unless the line goes on."""

    stream: int
    time_ns: int
    data: bytes
    attributes: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class LogStream:
    """A container's log, the oldest entry first; with `tty` there is one stream only and it is sent unframed.

    Entries come in blocks: what is there at once is handed on at once.
    """

    tty: bool
    blocks: AsyncIterator[Sequence[LogEntry]]
