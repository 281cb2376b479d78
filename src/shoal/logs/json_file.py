"""Reads the json-file log of a container: the supervisor writes it, shoald reads it, nobody locks it.

A log is `PATH` and its rotated predecessors `PATH.1` (the newest) … `PATH.N`. A line is one JSON object,
`{"log": text, "stream": name, "time": RFC 3339 with ns}`. A line that a crash has cut short, or that is no such object,
is passed over. Reading goes in blocks, so that a big log neither fills the memory nor holds up the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from shoal.api.log import LogEntry
from shoal.api.stdcopy import STDERR, STDOUT
from shoal.api.timestamps import parse_rfc3339
from shoal.errors import InvalidArgument
from shoal.logs.query import LogQuery

_BLOCK_BYTES = 256 * 1024


class _Line(msgspec.Struct):
    log: str
    time: str
    stream: Literal["stdout", "stderr"] = "stdout"
    attrs: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Line)


def parse_line(line: bytes) -> LogEntry | None:
    """The entry that one line of the file holds; None when it is damaged."""
    try:
        parsed = _decoder.decode(line)
        time_ns = parse_rfc3339(parsed.time)
    except (msgspec.DecodeError, InvalidArgument):
        return None
    stream = STDERR if parsed.stream == "stderr" else STDOUT
    return LogEntry(stream, time_ns, parsed.log.encode("utf-8", "surrogatepass"), parsed.attrs)


def open_log(path: Path) -> list[BinaryIO]:
    """The files of the log at `path`, the oldest first, each at its beginning; the caller closes them.

    The supervisor may rotate while they are opened: a file then moves on to the next number. So they are opened from
    the newest on, and one that is met again under its next number is passed over; none is missed.
    """
    found: dict[int, BinaryIO] = {}
    number = 0
    while number <= _highest_number(path):
        name = path.with_name(f"{path.name}.{number}") if number else path
        try:
            file = name.open("rb", buffering=0)
        except FileNotFoundError:
            pass  # it has just moved on
        else:
            inode = os.fstat(file.fileno()).st_ino
            if inode in found:
                file.close()
            else:
                found[inode] = file
        number += 1
    return list(found.values())[::-1]


def _highest_number(path: Path) -> int:
    """The number of the oldest file; 0 where there is none but the newest."""
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return -1  # the container is gone
    suffixes = [name.removeprefix(f"{path.name}.") for name in names if name.startswith(f"{path.name}.")]
    return max((int(suffix) for suffix in suffixes if suffix.isdecimal()), default=0)


@contextmanager
def opened_log(path: Path) -> Iterator[list[BinaryIO]]:
    """As `open_log`, closed at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(file) for file in open_log(path)]


class LineSplitter:
    """Cuts blocks of bytes into whole lines; keeps the unfinished rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[bytes]:
        """The lines that `block` completes."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        return lines


def read_blocks(file: BinaryIO) -> Iterator[list[LogEntry]]:
    """The entries from the file's position to its present end, a block at a time."""
    splitter = LineSplitter()
    while block := file.read(_BLOCK_BYTES):
        yield [entry for line in splitter.feed(block) if (entry := parse_line(line)) is not None]


def read_tail(files: list[BinaryIO], query: LogQuery, count: int, end: int | None = None) -> list[LogEntry]:
    """The last `count` wanted lines of the log (its parts counted as one line), the oldest first.

    Reads from the end backwards, only as far as it must; from byte `end` of the newest file where that is given.
    """
    found: list[LogEntry] = []
    lines = 0
    for file in reversed(files):
        for entry in _entries_backwards(file, end if file is files[-1] else None):
            if not query.wants(entry) or query.is_past(entry):
                continue
            lines += entry.data.endswith(b"\n") or not found
            if lines > count:
                return found[::-1]
            found.append(entry)
    return found[::-1]


def line_boundary(file: BinaryIO) -> int:
    """The offset behind the last whole line that `file` holds now."""
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _entries_backwards(file: BinaryIO, end: int | None) -> Iterator[LogEntry]:
    position = file.seek(0, os.SEEK_END) if end is None else end
    rest = b""
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        file.seek(start)
        first, *lines = (file.read(position - start) + rest).split(b"\n")
        for line in reversed(lines):
            if (entry := parse_line(line)) is not None:
                yield entry
        rest, position = first, start
    if (entry := parse_line(rest)) is not None:
        yield entry
