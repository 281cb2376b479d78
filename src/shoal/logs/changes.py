"""Tells followers of logs that the supervisor has written: one inotify queue for all of them; in shoald.

One queue, because a user may have 128 of them only (fs.inotify.max_user_instances).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from shoal.errors import SyscallError
from shoal.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify

_MASK = IN_MODIFY | IN_CREATE | IN_MOVED_TO


class Changes:
    """The directories that are watched, and who waits for a change in them."""

    def __init__(self) -> None:
        self._queue: Inotify | None = None
        self._waiting: dict[int, set[Watch]] = {}

    def watch(self, directory: Path) -> Watch:
        """A watch on a directory; the caller closes it. Raises: SyscallError when the system's limit is reached."""
        if self._queue is None:
            self._queue = Inotify()
            asyncio.get_running_loop().add_reader(self._queue.fileno(), self._notice)
        number = self._queue.add(os.fspath(directory), _MASK)
        watch = Watch(self, number)
        self._waiting.setdefault(number, set()).add(watch)
        return watch

    def forget(self, watch: Watch, number: int) -> None:
        """Ends a watch; with the last one the queue goes."""
        waiting = self._waiting.get(number)
        if waiting is None or self._queue is None:
            return
        waiting.discard(watch)
        if not waiting:
            del self._waiting[number]
            if not self._waiting:
                asyncio.get_running_loop().remove_reader(self._queue.fileno())
                self._queue.close()
                self._queue = None
            else:
                try:
                    self._queue.remove(number)
                except SyscallError:
                    pass  # the directory is gone, and the watch with it

    def _notice(self) -> None:
        assert self._queue is not None
        for number, _, _ in self._queue.read_nowait():
            # A negative number tells that events were lost: everybody looks.
            chosen = self._waiting.values() if number < 0 else (self._waiting.get(number, set()),)
            for waiting in chosen:
                for watch in waiting:
                    watch.changed.set()


class Watch:
    """One follower's watch on the directory of its log."""

    def __init__(self, changes: Changes, number: int) -> None:
        self._changes = changes
        self._number = number
        self.changed = asyncio.Event()

    def close(self) -> None:
        """Stops watching."""
        self._changes.forget(self, self._number)
