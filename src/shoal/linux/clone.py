"""Make a child process in new namespaces.

Used by the supervisor and by tests; never by shoald, which has threads. The child is a copy of this
interpreter that goes on behind the call. The at-fork hooks of Python are not run (0.7 ms instead of 1.3),
which is right only in a process with one thread: the locks of other threads would stay held for ever in the
child.
"""

from __future__ import annotations

import ctypes
import errno
import signal

from shoal.errors import SyscallError, Unsupported
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import SYS_clone, SYS_clone3, syscall

# include/uapi/linux/sched.h
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_NEWTIME = 0x00000080
CLONE_INTO_CGROUP = 0x200000000


class clone_args(ctypes.Structure):  # noqa: N801 — the kernel's name
    """struct clone_args, include/uapi/linux/sched.h, as of Linux 5.7 (CLONE_ARGS_SIZE_VER2)."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
        ("set_tid", ctypes.c_uint64),
        ("set_tid_size", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
    ]


def clone3(
    flags: int, *, into_cgroup: FdLike | None = None, exit_signal: int = signal.SIGCHLD
) -> tuple[int, Fd | None]:
    """(0, None) in the child; (pid, pidfd) in the parent, which owns the close-on-exec pidfd.

    `flags` are CLONE_NEW*; `into_cgroup` is a directory of cgroup v2 in which the child starts (Linux 5.7).
    The child must not return into its caller's code: it ends with execve or os._exit.
    clone3(2), Linux 5.3; clone(2) where a kernel or a seccomp filter answers ENOSYS.

    Raises: SyscallError; Unsupported when only clone3 could do what is asked.
    """
    slot = ctypes.c_int(-1)
    arguments = clone_args(
        flags=flags | CLONE_PIDFD,
        pidfd=ctypes.addressof(slot),
        exit_signal=0 if flags & CLONE_PARENT else exit_signal,
    )
    if into_cgroup is not None:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = into_cgroup if isinstance(into_cgroup, int) else into_cgroup.fileno()
    try:
        # SAFETY: `slot` and `arguments` outlive the call; without a stack and CLONE_VM the child has its own
        # copy.
        pid = syscall(SYS_clone3, "clone3", "", ctypes.byref(arguments), ctypes.sizeof(arguments))
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        if into_cgroup is not None or flags & CLONE_NEWTIME:
            raise Unsupported(
                "clone3 is not available", why="the kernel or a seccomp filter refuses it (ENOSYS)"
            ) from None
        pid = clone_legacy(flags | CLONE_PIDFD, exit_signal, slot)
    if pid == 0:
        return 0, None
    return pid, Fd(slot.value)


def clone_legacy(flags: int, exit_signal: int, slot: ctypes.c_int) -> int:
    """The pid of a child (0 inside it) by clone(2); its pidfd is stored in `slot`.

    Ends with Linux 5.3 and with seccomp profiles that do not know clone3. CLONE_NEWTIME has no place in its
    flags.

    Raises: SyscallError.
    """
    signal_bits = 0 if flags & CLONE_PARENT else exit_signal
    # SAFETY: no stack, as with fork: the child continues on its copy of ours. `slot` outlives the call.
    return syscall(SYS_clone, "clone", "", flags | signal_bits, None, ctypes.byref(slot), None, None)
