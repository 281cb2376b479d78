"""Output of processes that an exec left behind in its container; runs in a supervisor.

The exec has ended and its client has gone, but a daemon that it started may still hold its FIFO, read-write as all
of them are. Unread, it would stop as soon as the FIFO is full. So what it prints is read and dropped until it closes.
"""

from __future__ import annotations

import os

from shoal.supervisor.loop import HANGUP, READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop

_CHUNK_BYTES = 64 * 1024


class Leftovers:
    """The FIFOs of ended execs that somebody still holds. Opened for reading only, each tells when nobody does."""

    __slots__ = ("_fds", "_loop")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._fds: set[int] = set()

    def add(self, path: str) -> None:
        """Drops what comes out of this FIFO, until nobody has it open for writing."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._fds.add(fd)
        self._loop.watch(fd, READABLE, lambda events: self._on_event(fd, events))

    def _on_event(self, fd: int, events: int) -> None:
        if events & READABLE and os.read(fd, _CHUNK_BYTES):
            return
        if events & HANGUP:
            self._loop.unwatch(fd)
            self._fds.discard(fd)
            os.close(fd)
