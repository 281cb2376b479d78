"""Reads a log and goes on as it grows: asynchronous, in shoald.

The writer may rotate the file while it is followed: the open file is read to its end before the reader moves to the one
that took its name. inotify on the log's directory tells of both.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from shoal.api.log import LogEntry
from shoal.logs.changes import Changes
from shoal.logs.files import LogFile, open_log
from shoal.logs.format import LogFormat
from shoal.logs.query import LogQuery
from shoal.logs.read import Selection, blocks, find_start

# Less than a reader of old entries takes at once: what follows is parsed while others wait for the event loop.
_BLOCK_BYTES = 64 * 1024


async def follow_log(
    path: Path, format: LogFormat, query: LogQuery, ended: asyncio.Event, changes: Changes
) -> AsyncIterator[list[LogEntry]]:
    """The wanted entries of the log, then those to come, until `ended` is set and all is read, or `until_ns` is past.

    `ended` is set by whoever knows that nobody writes any more.
    """
    watch = changes.watch(path.parent)
    follower = _Follower(path, format)
    over = asyncio.ensure_future(ended.wait())
    over.add_done_callback(lambda _: watch.changed.set())
    try:
        selection = await follower.begin(query)
        while True:
            watch.changed.clear()
            was_ended = ended.is_set()
            async for entries in follower.read_new():
                chosen = selection.choose(entries)
                if chosen:
                    yield chosen
                if selection.is_over:
                    return
            if was_ended:
                return
            await watch.changed.wait()
    finally:
        over.cancel()
        watch.close()
        follower.close()


class _Follower:
    """The files of a log that are still to be read, the oldest first; the last one grows."""

    def __init__(self, path: Path, format: LogFormat) -> None:
        self._path = path
        self._format = format
        self._files = open_log(path)
        self._offset = 0

    async def begin(self, query: LogQuery) -> Selection:
        """Goes to the last entries, where only some are wanted; the choice of them."""
        start = await find_start(self._files, self._format, query)
        for _ in range(start.file):
            self._files.pop(0).close()
        self._offset = start.offset
        return Selection(query, start.skip)

    async def read_new(self) -> AsyncIterator[list[LogEntry]]:
        """The entries written since the last call, in blocks."""
        while True:
            if not self._files:
                self._files = open_log(self._path)
            if not self._files:
                return
            file = self._files[0]
            # Asked before the rest is read: whatever the writer wrote before it rotated is then in that rest.
            is_left = len(self._files) > 1 or self._was_rotated(file)
            if is_left:
                async for entries in blocks(file, self._format, self._offset):
                    yield entries
                self._advance()
                continue
            if file.size_bytes() < self._offset:
                self._offset = 0  # a log of one file only is rotated by being emptied
            async for entries in self._growth(file):
                yield entries
            return

    async def _growth(self, file: LogFile) -> AsyncIterator[list[LogEntry]]:
        """What was added to the newest file. It is in memory still, so it is read at once."""
        size = _BLOCK_BYTES
        while True:
            data = file.read_nowait(self._offset, size)
            entries, length = self._format.parse(data)
            self._offset += length
            if entries:
                yield entries
            if len(data) < size:
                return
            size = _BLOCK_BYTES if length else size * 2
            await asyncio.sleep(0)

    def _was_rotated(self, file: LogFile) -> bool:
        try:
            return os.stat(self._path).st_ino != file.inode
        except FileNotFoundError:
            return False  # between the rotation's rename and the new file: the next event tells

    def _advance(self) -> None:
        """Leaves the oldest file for the one that followed it, however often the log was rotated since."""
        left = self._files.pop(0)
        self._offset = 0
        if not self._files:
            self._files = open_log(self._path)
            inodes = [file.inode for file in self._files]
            for _ in range(inodes.index(left.inode) + 1 if left.inode in inodes else 0):
                self._files.pop(0).close()
        left.close()

    def close(self) -> None:
        """Closes the files."""
        while self._files:
            self._files.pop().close()
