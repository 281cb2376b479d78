"""A small program beside a supervisor, for what its own interpreter has not loaded: compression, TLS.

It is the supervisor's own interpreter with a script of the package, and has two descriptors, its input and output.
"""

from __future__ import annotations

import os
import signal
import sys

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal
from shoal.supervisor.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop


class Companion:
    """One such process, and its end."""

    __slots__ = ("_loop", "_on_end", "_pid", "_pidfd")

    def __init__(
        self, loop: Loop, script: str, arguments: list[str], input: int, output: int, on_end: Callable[[], None]
    ) -> None:
        """Starts `script`; the descriptors stay the caller's. Raises: OSError."""
        self._loop = loop
        self._on_end: Callable[[], None] | None = on_end
        self._pid = os.posix_spawn(
            "/proc/self/exe",
            [sys.executable, "-SI", script, *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, input, 0), (os.POSIX_SPAWN_DUP2, output, 1)],
            # The supervisor ignores what would end it; this one may be ended.
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
        try:
            self._pidfd: Fd = pidfd_open(self._pid)
        except SyscallError as error:
            os.kill(self._pid, signal.SIGKILL)  # our child, not waited for yet: the number is still its own
            os.waitpid(self._pid, 0)
            raise OSError(error.errno, "pidfd_open") from None
        loop.watch(self._pidfd.fileno(), READABLE, lambda _events: self._ended())

    def kill(self) -> None:
        """Ends it; `on_end` is not called."""
        self._on_end = None
        try:
            pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except SyscallError:
            pass  # it has ended already

    def _ended(self) -> None:
        self._loop.unwatch(self._pidfd.fileno())
        try:
            os.waitid(os.P_PIDFD, self._pidfd.fileno(), os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            pass  # strays.py took it for one
        self._pidfd.close()
        if self._on_end is not None:
            self._on_end()
