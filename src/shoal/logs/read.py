"""Reads a log: asynchronous, in shoald, in blocks, so that a big one neither fills the memory nor holds up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from shoal.api.log import LogEntry
from shoal.logs.files import LogFile, open_log
from shoal.logs.format import LogFormat
from shoal.logs.query import LogQuery

BLOCK_BYTES = 128 * 1024


async def read_log(path: Path, format: LogFormat, query: LogQuery) -> AsyncIterator[list[LogEntry]]:
    """The wanted entries that the log holds now, the oldest first, in blocks."""
    files = open_log(path)
    try:
        # What is written from now on is not read: a quick writer must not make this endless.
        end = files[-1].size_bytes() if files else 0
        start = await find_start(files, format, query)
        selection = Selection(query, start.skip)
        for number, file in enumerate(files[start.file :]):
            offset = start.offset if number == 0 else 0
            async for entries in blocks(file, format, offset, end if file is files[-1] else None):
                chosen = selection.choose(entries)
                if chosen:
                    yield chosen
                if selection.is_over:
                    return
    finally:
        for file in files:
            file.close()


async def blocks(
    file: LogFile, format: LogFormat, offset: int, end: int | None = None
) -> AsyncIterator[list[LogEntry]]:
    """The entries of one file from `offset` on, to its present end or to `end`."""
    await file.ready()
    size = BLOCK_BYTES
    while end is None or offset < end:
        data = await file.read(offset, size if end is None else min(size, end - offset))
        entries, length = format.parse(data)
        if length:
            yield entries
            offset, size = offset + length, BLOCK_BYTES
        elif len(data) < size:
            return
        else:
            size *= 2  # a record longer than the block


class Selection:
    """The entries that a query wants, without the first `skip` of them."""

    def __init__(self, query: LogQuery, skip: int) -> None:
        self._query = query
        self._skip = skip
        # Whether an entry behind `until_ns` was met: what follows is later still.
        self.is_over = False

    def choose(self, entries: list[LogEntry]) -> list[LogEntry]:
        """Those of the next block."""
        query = self._query
        if query.wants_all:
            chosen = entries
        else:
            chosen = []
            for entry in entries:
                if query.is_past(entry):
                    self.is_over = True
                    break
                if query.wants(entry):
                    chosen.append(entry)
        if self._skip:
            skipped = min(self._skip, len(chosen))
            self._skip -= skipped
            chosen = chosen[skipped:]
        return chosen


@dataclass(frozen=True, slots=True)
class Start:
    """Where to read from: the number of a file, an offset in it, and how many wanted entries to skip from there."""

    file: int = 0
    offset: int = 0
    skip: int = 0


async def find_start(files: list[LogFile], format: LogFormat, query: LogQuery) -> Start:
    """Where the last `query.tail` wanted lines begin (the parts of a line counted as one); the start without a tail.

    Goes backwards from the end, only as far as it must, and keeps nothing of what it passes.
    """
    if query.tail is None or not files:
        return Start()
    counter = _LineCounter(query, query.tail)
    for number in range(len(files) - 1, -1, -1):
        file = files[number]
        await file.ready()
        end, size = file.size_bytes(), BLOCK_BYTES
        while end > 0:
            start = max(0, end - size)
            data = await file.read(start, end - start)
            first = 0 if start == 0 else format.first_record(data)
            if first is None:
                size *= 2
                continue
            entries, _ = format.parse(data[first:])
            skip = counter.count(entries)
            if skip is not None:
                return Start(number, start + first, skip)
            end, size = start + first, BLOCK_BYTES
            await asyncio.sleep(0)
    return Start()


class _LineCounter:
    """Counts wanted lines from the end of a log."""

    def __init__(self, query: LogQuery, most: int) -> None:
        self._query = query
        self._most = most
        self._lines = 0
        self._is_first = True

    def count(self, entries: list[LogEntry]) -> int | None:
        """How many wanted entries of this block come before the last lines; None when all belong to them."""
        query = self._query
        wanted = entries if query.wants_all else [e for e in entries if query.wants(e) and not query.is_past(e)]
        for index in range(len(wanted) - 1, -1, -1):
            if wanted[index].data.endswith(b"\n") or self._is_first:
                self._is_first = False
                self._lines += 1
                if self._lines > self._most:
                    return index + 1
        return None
