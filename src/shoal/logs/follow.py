"""Reads a log and, when asked, goes on as it grows: asynchronous, in shoald.

The writer may rotate the file while it is followed: the open file is read to its end before the reader moves to the one
that took its name. inotify on the log's directory tells of both.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from shoal.api.log import LogEntry
from shoal.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from shoal.logs.json_file import LineSplitter, line_boundary, log_files, parse_line, read_blocks, read_tail
from shoal.logs.query import LogQuery

_BLOCK_BYTES = 256 * 1024


async def read_log(path: Path, query: LogQuery) -> AsyncIterator[LogEntry]:
    """The wanted entries that the log holds now, the oldest first."""
    files = log_files(path)
    if query.tail is not None:
        for entry in read_tail(files, query, query.tail):
            yield entry
        return
    for name in files:
        with name.open("rb") as file:
            for block in read_blocks(file):
                for entry in block:
                    if query.is_past(entry):
                        return
                    if query.wants(entry):
                        yield entry
                await asyncio.sleep(0)


async def follow_log(path: Path, query: LogQuery, ended: asyncio.Event) -> AsyncIterator[LogEntry]:
    """The wanted entries of the log, then those to come, until `ended` is set and all is read, or `until_ns` is past.

    `ended` is set by whoever knows that nobody writes any more.
    """
    with Inotify() as watch:
        watch.add(os.fspath(path.parent), IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        follower = _Follower(path)
        try:
            for entry in follower.begin(query):
                yield entry
            while True:
                was_ended = ended.is_set()
                for entry in follower.read_new():
                    if query.is_past(entry):
                        return
                    if query.wants(entry):
                        yield entry
                if was_ended:
                    return
                await _wait_changed(watch, ended)
        finally:
            follower.close()


async def _wait_changed(watch: Inotify, ended: asyncio.Event) -> None:
    """Returns when the directory changed or `ended` was set."""
    loop = asyncio.get_running_loop()
    changed: asyncio.Future[None] = loop.create_future()

    def notice() -> None:
        watch.read_nowait()
        if not changed.done():
            changed.set_result(None)

    loop.add_reader(watch.fileno(), notice)
    over = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((changed, over), return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        loop.remove_reader(watch.fileno())


class _Follower:
    """The open end of a log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._splitter = LineSplitter()

    def begin(self, query: LogQuery) -> list[LogEntry]:
        """Opens the newest file; what older entries are wanted, read at once.

        The position is taken before the old entries are read, so nothing written meanwhile is lost or told twice.
        """
        self._open()
        files = log_files(self._path)
        if query.tail is None:
            older = [block for name in files[:-1] for block in _blocks_of(name)]
            return [e for block in older for e in block if query.wants(e) and not query.is_past(e)]
        if self._file is None:
            return []
        end = line_boundary(self._file)
        self._file.seek(end)
        return read_tail(files, query, query.tail, end)

    def read_new(self) -> list[LogEntry]:
        """The entries written since the last call."""
        entries: list[LogEntry] = []
        while True:
            if self._file is None and not self._open():
                return entries
            assert self._file is not None
            while block := self._file.read(_BLOCK_BYTES):
                entries += [e for line in self._splitter.feed(block) if (e := parse_line(line)) is not None]
            if not self._was_rotated():
                return entries
            self._file.close()
            self._file = None

    def _was_rotated(self) -> bool:
        assert self._file is not None
        try:
            return os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False  # between the rotation's rename and the new file: the next event tells

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        self._splitter = LineSplitter()
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()


def _blocks_of(path: Path) -> list[list[LogEntry]]:
    with path.open("rb") as file:
        return list(read_blocks(file))
