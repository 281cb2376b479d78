"""Output of processes that an exec left behind in its container; runs in a supervisor.

The exec has ended and its client has gone, but a daemon that it started may still hold its FIFO, read-write as all
of them are. Unread, it would stop as soon as the FIFO is full. So what it prints is read and dropped until it closes.
Of FIFOS_MAX only, because a container can keep them all, and its supervisor has other containers.
"""

from __future__ import annotations

import os

from shoal.supervisor.loop import HANGUP, READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop

_CHUNK_BYTES = 64 * 1024
FIFOS_MAX = 512


class Leftovers:
    """The FIFOs of ended execs that somebody still holds. Opened for reading only, each tells when nobody does."""

    __slots__ = ("_fds", "_loop")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # In the order in which they came.
        self._fds: dict[int, None] = {}

    def add(self, path: str) -> None:
        """Drops what comes out of this FIFO, until nobody has it open for writing; the oldest makes room."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # out of descriptors: the writer will have to wait, its exec has ended all the same
        if len(self._fds) >= FIFOS_MAX:
            self._drop(next(iter(self._fds)))
        self._fds[fd] = None
        self._loop.watch(fd, READABLE, lambda events: self._on_event(fd, events))

    def _on_event(self, fd: int, events: int) -> None:
        if events & READABLE and os.read(fd, _CHUNK_BYTES):
            return
        if events & HANGUP:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._loop.unwatch(fd)
        del self._fds[fd]
        os.close(fd)
