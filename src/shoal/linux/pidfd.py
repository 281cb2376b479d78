"""Processes by descriptor: a pidfd can't come to mean another process, as a pid can.

Used by the supervisor and by shoald. pidfd_open(2), Linux 5.3.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct

from shoal.errors import SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import SYS_pidfd_open, SYS_pidfd_send_signal, syscall

# include/uapi/linux/pidfd.h, Linux 6.13: _IOWR(0xFF, 11, struct pidfd_info) with its first published size of
# 64.
_PIDFD_INFO = struct.Struct("=QQ11Ii")
_PIDFD_GET_INFO = 0xC000FF0B | _PIDFD_INFO.size << 16
_PIDFD_INFO_EXIT = 1 << 3  # Linux 6.15
_PIDFD_SIGNAL_PROCESS_GROUP = 1 << 2  # Linux 6.9


def pidfd_open(pid: int) -> Fd:
    """A close-on-exec descriptor of the process `pid`, owned by the caller. It reads as ready when that ends.

    Raises: SyscallError (ESRCH: no such process).
    """
    return Fd(syscall(SYS_pidfd_open, "pidfd_open", str(pid), pid, 0))


def pidfd_send_signal(fd: FdLike, sig: int, *, group: bool = False) -> None:
    """Send a signal to the process behind `fd`. pidfd_send_signal(2), Linux 5.1.

    With `group`, to the process group that it leads, as it itself lives or not; before Linux 6.9 to it alone.

    Raises: SyscallError (ESRCH: it has ended and was reaped).
    """
    if group:
        try:
            flags = _PIDFD_SIGNAL_PROCESS_GROUP
            syscall(SYS_pidfd_send_signal, "pidfd_send_signal", signal_name(sig), fd, sig, None, flags)
            return
        except SyscallError as error:
            if error.errno not in (errno.EINVAL, errno.ESRCH):  # ESRCH: it leads no group
                raise
    syscall(SYS_pidfd_send_signal, "pidfd_send_signal", signal_name(sig), fd, sig, None, 0)


def signal_name(sig: int) -> str:
    """The name of a signal for an error message; its number for a real-time one."""
    try:
        return signal.Signals(sig).name
    except ValueError:
        return str(sig)


def is_alive(fd: FdLike) -> bool:
    """Whether the process behind `fd` has not ended; a zombie has."""
    poll = select.poll()
    poll.register(fd if isinstance(fd, int) else fd.fileno(), select.POLLIN)
    return not poll.poll(0)


def exit_status(fd: FdLike) -> int | None:
    """How the process behind `fd` ended, encoded as waitpid does; None when the kernel can't tell.

    It can from Linux 6.15 on, once the process was reaped (by anybody), if `fd` was opened before.
    ioctl(PIDFD_GET_INFO), PIDFD_INFO_EXIT.

    Raises: SyscallError for what is no pidfd.
    """
    number = fd if isinstance(fd, int) else fd.fileno()
    request = _PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13)
    try:
        answer = fcntl.ioctl(number, _PIDFD_GET_INFO, request)
    except OSError as error:
        # ENOTTY, EINVAL: before 6.13. ESRCH: reaped, and the kernel keeps no exit status (before 6.15).
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ESRCH):
            return None
        raise SyscallError("ioctl", "PIDFD_GET_INFO", error.errno or 0) from None
    fields = _PIDFD_INFO.unpack(answer)
    return fields[-1] if fields[0] & _PIDFD_INFO_EXIT else None


def pid_of(fd: FdLike) -> int | None:
    """The pid of the process behind `fd` in our pid namespace; None when it was reaped.

    proc_pid_fdinfo(5).

    Raises: SyscallError when /proc is not there or `fd` is no pidfd.
    """
    path = f"/proc/self/fdinfo/{fd if isinstance(fd, int) else fd.fileno()}"
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                if line.startswith("Pid:"):
                    pid = int(line[4:])
                    return pid if pid > 0 else None
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
    raise SyscallError("fdinfo", path, errno.EBADF)


def wait_exit(fd: FdLike, timeout_s: float | None = None) -> bool:
    """Whether the process behind `fd` has ended, after at most `timeout_s` (None: however long it takes)."""
    poll = select.poll()
    poll.register(fd if isinstance(fd, int) else fd.fileno(), select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def exit_code(status: int) -> int:
    """A wait status as Docker counts it: the exit code, or 128 + the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
