"""Attributes of the calling process. prctl(2).

Used by the supervisor and its children.
"""

from __future__ import annotations

from shoal.linux.libc import SYS_prctl, syscall

# include/uapi/linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
_NAME_BYTES = 15


def _prctl(name: str, option: int, argument: int | bytes) -> int:
    return syscall(SYS_prctl, "prctl", name, option, argument, 0, 0, 0)


def set_no_new_privs() -> None:
    """No execve will give this process or its children more privileges, for ever. Linux 3.5.

    Raises: SyscallError.
    """
    _prctl("PR_SET_NO_NEW_PRIVS", PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(dumpable: bool) -> None:
    """Let others trace this process and open its /proc files, or not; execve sets it again.

    Raises: SyscallError.
    """
    _prctl("PR_SET_DUMPABLE", PR_SET_DUMPABLE, int(dumpable))


def set_child_subreaper(reaper: bool = True) -> None:
    """Get orphaned descendants as children, as init does. Linux 3.4.

    Raises: SyscallError.
    """
    _prctl("PR_SET_CHILD_SUBREAPER", PR_SET_CHILD_SUBREAPER, int(reaper))


def set_pdeathsig(signal: int) -> None:
    """Get `signal` when the thread that made this process ends; 0 for none.

    Changing the user or executing a set-uid program clears it. The parent may be dead already: check getppid.

    Raises: SyscallError.
    """
    _prctl("PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, signal)


def set_name(name: str) -> None:
    """Name this thread for ps and /proc/PID/comm; the kernel keeps 15 bytes.

    Raises: SyscallError.
    """
    _prctl("PR_SET_NAME", PR_SET_NAME, name.encode()[:_NAME_BYTES])


def set_keepcaps(keep: bool) -> None:
    """Keep the permitted capabilities over the change from root to another user; execve clears it.

    Raises: SyscallError.
    """
    _prctl("PR_SET_KEEPCAPS", PR_SET_KEEPCAPS, int(keep))
