"""Reads a log and, when asked, goes on as it grows: asynchronous, in shoald.

The writer may rotate the file while it is followed: the open file is read to its end before the reader moves to the one
that took its name. inotify on the log's directory tells of both.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from shoal.api.log import LogEntry
from shoal.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from shoal.logs.json_file import LineSplitter, line_boundary, open_log, opened_log, parse_line, read_blocks, read_tail
from shoal.logs.query import LogQuery

_BLOCK_BYTES = 256 * 1024


async def read_log(path: Path, query: LogQuery) -> AsyncIterator[LogEntry]:
    """The wanted entries that the log holds now, the oldest first."""
    with opened_log(path) as files:
        if query.tail is not None:
            for entry in read_tail(files, query, query.tail):
                yield entry
            return
        for file in files:
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
                for block in follower.read_new():
                    for entry in block:
                        if query.is_past(entry):
                            return
                        if query.wants(entry):
                            yield entry
                    await asyncio.sleep(0)
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
    """The files of a log that are still to be read, the oldest first; the last one grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = open_log(path)
        self._splitter = LineSplitter()

    def begin(self, query: LogQuery) -> list[LogEntry]:
        """The last entries, where only some are wanted; what is written from now on is read afterwards.

        Without a `tail` nothing is read here: the files are followed from their beginning.
        """
        if query.tail is None or not self._files:
            return []
        newest = self._files[-1]
        # Taken before the entries are read, so nothing written meanwhile is lost or told twice.
        end = line_boundary(newest)
        last = read_tail(self._files, query, query.tail, end)
        self._close_all_but_newest()
        newest.seek(end)
        return last

    def read_new(self) -> Iterator[list[LogEntry]]:
        """The entries written since the last call, in blocks."""
        while True:
            if not self._files:
                self._files = open_log(self._path)
            if not self._files:
                return
            file = self._files[0]
            # Asked before the rest is read: whatever the writer wrote before it rotated is then in that rest.
            is_left = len(self._files) > 1 or self._was_rotated(file)
            self._rewind_truncated(file)
            while block := file.read(_BLOCK_BYTES):
                yield [e for line in self._splitter.feed(block) if (e := parse_line(line)) is not None]
            if not is_left:
                return
            self._advance()

    def _was_rotated(self, file: BinaryIO) -> bool:
        try:
            return os.stat(self._path).st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return False  # between the rotation's rename and the new file: the next event tells

    def _rewind_truncated(self, file: BinaryIO) -> None:
        """A log of one file only is rotated by being emptied."""
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)
            self._splitter = LineSplitter()

    def _advance(self) -> None:
        """Leaves the oldest file for the one that followed it, however often the log was rotated since."""
        left = self._files.pop(0)
        self._splitter = LineSplitter()
        if not self._files:
            self._files = open_log(self._path)
            inodes = [os.fstat(file.fileno()).st_ino for file in self._files]
            inode = os.fstat(left.fileno()).st_ino
            for _ in range(inodes.index(inode) + 1 if inode in inodes else 0):
                self._files.pop(0).close()
        left.close()

    def _close_all_but_newest(self) -> None:
        while len(self._files) > 1:
            self._files.pop(0).close()

    def close(self) -> None:
        """Closes the files."""
        while self._files:
            self._files.pop().close()
