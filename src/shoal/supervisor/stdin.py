"""The writing end of a process's stdin: a pipe, or a terminal's master; runs in a supervisor."""

from __future__ import annotations

import os

from shoal.supervisor.loop import HANGUP, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop


class StdinSink:
    """Takes input without ever blocking; what the process does not read yet waits here.

    It owns the descriptor. `on_drained` is called when everything that waited was taken; once the process has
    closed its end, input is swallowed.
    """

    __slots__ = ("_closing", "_fd", "_is_pipe", "_loop", "_pending", "on_closed", "on_drained")

    def __init__(self, loop: Loop, fd: int, *, is_pipe: bool) -> None:
        self._loop = loop
        self._fd = fd
        self._is_pipe = is_pipe
        self._pending = b""
        self._closing = False
        self.on_drained: Callable[[], None] | None = None
        self.on_closed: Callable[[], None] | None = None
        os.set_blocking(fd, False)

    @property
    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._fd

    def write(self, data: bytes) -> bool:
        """Takes all of `data`; False when some of it has to wait, and no more should be given for now."""
        if self._fd < 0 or self._closing:
            return True
        if self._pending:
            self._pending += data
            return False
        self._pending = data[self._try(data) :]
        if self._pending and self._fd >= 0:
            self._loop.watch(self._fd, WRITABLE, self._on_event)
            return False
        return True

    def end(self) -> None:
        """Tells the process that its input has ended, behind what still waits. A terminal has no end."""
        if not self._is_pipe or self._closing:
            return
        self._closing = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._fd < 0:
            return
        self._loop.unwatch(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._pending = b""
        if self.on_closed is not None:
            self.on_closed()

    def _on_event(self, events: int) -> None:
        if events & HANGUP and not events & WRITABLE:
            self._reader_gone()
            return
        self._pending = self._pending[self._try(self._pending) :]
        if self._pending or self._fd < 0:
            return
        self._loop.unwatch(self._fd)
        if self._closing:
            self.close()
        if self.on_drained is not None:
            self.on_drained()

    def _try(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._reader_gone()
            return len(data)

    def _reader_gone(self) -> None:
        """The process has closed its stdin: nothing that waits can ever be taken."""
        self.close()
        if self.on_drained is not None:
            self.on_drained()
