"""Gives the space of removed log files back a piece at a time, because the kernel takes 10 ms for 20 MiB at once.

A file goes when its last descriptor is closed. So one is opened before the file loses its name, and then shortened from
its end, with the loop in between, while nobody else has it open; a reader who has shall read it to its end, and frees
it. Runs in a supervisor.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop, Timer

_STEP_BYTES = 1 << 20
_PAUSE_S = 0.001


class Disposal:
    """The removed files of one log."""

    __slots__ = ("_fds", "_loop", "_timer")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._fds: list[int] = []
        self._timer: Timer | None = None

    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # the container is being removed
        try:
            # A lease on writing is given only where nobody else has the file open; none can any more.
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            os.close(fd)  # a reader's; or a file system without leases, which must do it at once
            return
        self._fds.append(fd)
        if self._timer is None:
            self._timer = self._loop.call_later(_PAUSE_S, self._step)

    def close(self) -> None:
        """Gives everything back at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._fds:
            os.close(self._fds.pop())

    def _step(self) -> None:
        self._timer = None
        left = os.fstat(self._fds[0]).st_size - _STEP_BYTES
        if left > 0:
            os.ftruncate(self._fds[0], left)
        else:
            os.close(self._fds.pop(0))
        if self._fds:
            self._timer = self._loop.call_later(_PAUSE_S, self._step)
