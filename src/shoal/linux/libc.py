"""System calls that Python has no function for, through one C prototype each.

Used by every process. `PyDLL` instead of `CDLL`, because CDLL drops the interpreter lock around the call, and
a child that clone3 makes without the lock could never run Python code. So a blocking call here stops every
thread: only short calls go this way.
"""

from __future__ import annotations

import ctypes
import errno
import os

from shoal.errors import SyscallError, Unsupported
from shoal.linux.fd import Fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    # What a system call takes: numbers, descriptors, bytes (as char *), None (as NULL), byref() pointers.
    Argument: TypeAlias = int | Fd | bytes | object | None

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_NO_AUTOMOUNT = 0x800
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

# Numbers since Linux 5.1 are the same on every architecture: include/uapi/asm-generic/unistd.h.
SYS_pidfd_send_signal = 424
SYS_open_tree = 428
SYS_move_mount = 429
SYS_fsopen = 430
SYS_fsconfig = 431
SYS_fsmount = 432
SYS_pidfd_open = 434
SYS_clone3 = 435
SYS_close_range = 436
SYS_openat2 = 437
SYS_mount_setattr = 442

# The older ones: arch/x86/entry/syscalls/syscall_64.tbl, and asm-generic/unistd.h for the others.
_OLDER = {
    "x86_64": {
        "clone": 56,
        "pivot_root": 155,
        "mount": 165,
        "umount2": 166,
        "capget": 125,
        "capset": 126,
        "prctl": 157,
        "keyctl": 250,
        "unshare": 272,
        "fstatfs": 138,
        "setns": 308,
        "seccomp": 317,
        "memfd_create": 319,
        "bpf": 321,
        "inotify_init1": 294,
        "inotify_add_watch": 254,
        "inotify_rm_watch": 255,
        "personality": 135,
        "set_mempolicy": 238,
        "ioprio_set": 251,
        "sched_setattr": 314,
        "finit_module": 313,
        "reboot": 169,
    },
    "generic": {
        "clone": 220,
        "pivot_root": 41,
        "mount": 40,
        "umount2": 39,
        "capget": 90,
        "capset": 91,
        "prctl": 167,
        "keyctl": 219,
        "unshare": 97,
        "fstatfs": 44,
        "setns": 268,
        "seccomp": 277,
        "memfd_create": 279,
        "bpf": 280,
        "inotify_init1": 26,
        "inotify_add_watch": 27,
        "inotify_rm_watch": 28,
        "personality": 92,
        "set_mempolicy": 237,
        "ioprio_set": 30,
        "sched_setattr": 274,
        "finit_module": 273,
        "reboot": 142,
    },
}
_GENERIC_MACHINES = ("aarch64", "riscv64", "loongarch64")


def numbers_of(machine: str) -> dict[str, int]:
    """The numbers of the older system calls on `machine` (as uname -m prints it).

    Raises: Unsupported for an architecture that shoal has no table for.
    """
    if machine in _GENERIC_MACHINES:
        return _OLDER["generic"]
    if machine in _OLDER and machine != "generic":
        return _OLDER[machine]
    raise Unsupported(f"shoal does not run on the architecture {machine!r}", why="no system call table")


_NUMBERS = numbers_of(os.uname().machine)
SYS_clone = _NUMBERS["clone"]
SYS_pivot_root = _NUMBERS["pivot_root"]
SYS_mount = _NUMBERS["mount"]
SYS_umount2 = _NUMBERS["umount2"]
SYS_capget = _NUMBERS["capget"]
SYS_capset = _NUMBERS["capset"]
SYS_prctl = _NUMBERS["prctl"]
SYS_keyctl = _NUMBERS["keyctl"]
SYS_unshare = _NUMBERS["unshare"]
SYS_setns = _NUMBERS["setns"]
SYS_fstatfs = _NUMBERS["fstatfs"]
SYS_seccomp = _NUMBERS["seccomp"]
SYS_memfd_create = _NUMBERS["memfd_create"]
SYS_bpf = _NUMBERS["bpf"]
SYS_inotify_init1 = _NUMBERS["inotify_init1"]
SYS_inotify_add_watch = _NUMBERS["inotify_add_watch"]
SYS_inotify_rm_watch = _NUMBERS["inotify_rm_watch"]
SYS_personality = _NUMBERS["personality"]
SYS_set_mempolicy = _NUMBERS["set_mempolicy"]
SYS_ioprio_set = _NUMBERS["ioprio_set"]
SYS_sched_setattr = _NUMBERS["sched_setattr"]
SYS_finit_module = _NUMBERS["finit_module"]
SYS_reboot = _NUMBERS["reboot"]

_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_c_long = ctypes.c_long
_syscall.restype = _c_long


def syscall(number: int, name: str, object: str, *arguments: Argument) -> int:
    """The result of one system call, repeated when a signal interrupted it.

    `name` and `object` only serve the error. Integers are passed as C long, Fd as its number, bytes as char
    *.

    Raises: SyscallError with the errno.
    """
    # SAFETY: pointers come from bytes and byref() in `arguments`, which this frame keeps alive over the call.
    # A bare int would go as C int and lose the upper half of 64-bit flags. Spelled out here instead of in a
    # function of its own: a container's set-up makes about 150 calls, and this saves a microsecond in each.
    converted = [
        _c_long(argument)
        if type(argument) is int
        else _c_long(argument.fileno())
        if type(argument) is Fd
        else _c_long(argument)
        if isinstance(argument, int)  # bool, and the enumerations of signal and socket
        else argument
        for argument in arguments
    ]
    while True:
        result = _syscall(_c_long(number), *converted)
        if result != -1:
            return int(result)
        failure = ctypes.get_errno()
        if failure != errno.EINTR:
            raise SyscallError(name, object, failure)


def path_bytes(path: str) -> bytes:
    """`path` as the kernel takes it.

    Raises: SyscallError (EINVAL) when it holds a NUL, behind which the kernel would not look.
    """
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise SyscallError("open", path.replace("\0", "\\0"), errno.EINVAL, fix="remove the NUL from the path")
    return encoded


def close_range(first: int, last: int = 0xFFFFFFFF, *, cloexec: bool = False) -> None:
    """Close every descriptor from `first` to `last`, or only mark them close-on-exec.

    close_range(2), Linux 5.9 (CLOEXEC 5.11); older kernels get a walk over /proc/self/fd.

    Raises: SyscallError.
    """
    try:
        syscall(SYS_close_range, "close_range", "", first, last, 4 if cloexec else 0)
    except SyscallError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        _close_each(first, last, cloexec=cloexec)


def _close_each(first: int, last: int, *, cloexec: bool) -> None:
    """close_range by hand, for kernels before 5.11."""
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if not first <= number <= last:
            continue
        try:
            if cloexec:
                os.set_inheritable(number, False)
            else:
                os.close(number)
        except OSError:
            pass  # the descriptor of the listing itself, closed meanwhile
