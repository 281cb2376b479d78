"""Collects processes that a dead supervisor left to shoald, their next reaper. Runs on shoald's event loop.

A child that nobody waits for stays a zombie, and its exit code unknown to the successor.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal
from shoal.linux.procfs import parent

# Called with the status as waitpid encodes it.
OnReaped = Callable[[int], None]


class OrphanWatch:
    """Waits for orphans, each by its pidfd."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[int, Fd] = {}

    def kill(self, pid: int) -> None:
        """Ends a process that never became a container, and collects it."""
        try:
            pidfd = pidfd_open(pid)
        except SyscallError:
            return  # it died with its supervisor, and was collected
        try:
            if parent(pid) != os.getpid():
                pidfd.close()  # of a supervisor that an earlier shoald started: init collects it
                return
            # SAFETY: our child, so it is the process that is meant: nobody but us could have collected that.
            pidfd_send_signal(pidfd, signal.SIGKILL)
        except SyscallError:
            pass  # a zombie already
        self.watch(pidfd, lambda _status: None)

    def watch(self, pidfd: Fd, on_reaped: OnReaped) -> None:
        """Collects the process when it ends, if it is our child. Takes the descriptor over."""
        number = pidfd.fileno()
        self._watched[number] = pidfd
        self._loop.add_reader(number, self._ended, number, on_reaped)

    def close(self) -> None:
        """Stops watching."""
        for number in tuple(self._watched):
            self._forget(number)

    def _ended(self, number: int, on_reaped: OnReaped) -> None:
        status = _collect(number)
        self._forget(number)
        if status is not None:
            on_reaped(status)

    def _forget(self, number: int) -> None:
        self._loop.remove_reader(number)
        self._watched.pop(number).close()


def _collect(pidfd: int) -> int | None:
    """The wait status of an ended child, None when it is not our child: init collects it then. waitid(2)."""
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return result.si_status << 8
    return result.si_status | (0x80 if result.si_code == os.CLD_DUMPED else 0)
