"""The five capability sets of a process. capabilities(7).

Used by the child right before execve, and by shoald to know what it may grant. Sets are bit masks: bit N is
the capability with the number N.
"""

from __future__ import annotations

import ctypes
import errno

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.libc import SYS_capget, SYS_capset, SYS_prctl, syscall

# include/uapi/linux/capability.h
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_LINUX_IMMUTABLE": 9,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_BROADCAST": 11,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_IPC_OWNER": 15,
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_RAWIO": 17,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_PACCT": 20,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_BOOT": 22,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_TIME": 25,
    "CAP_SYS_TTY_CONFIG": 26,
    "CAP_MKNOD": 27,
    "CAP_LEASE": 28,
    "CAP_AUDIT_WRITE": 29,
    "CAP_AUDIT_CONTROL": 30,
    "CAP_SETFCAP": 31,
    "CAP_MAC_OVERRIDE": 32,
    "CAP_MAC_ADMIN": 33,
    "CAP_SYSLOG": 34,
    "CAP_WAKE_ALARM": 35,
    "CAP_BLOCK_SUSPEND": 36,
    "CAP_AUDIT_READ": 37,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
    "CAP_CHECKPOINT_RESTORE": 40,
}

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class _header(ctypes.Structure):  # noqa: N801 — the kernel's name is __user_cap_header_struct
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _data(ctypes.Structure):  # noqa: N801 — the kernel's name is __user_cap_data_struct
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


_data_pair = _data * 2


def mask(names: list[str] | tuple[str, ...]) -> int:
    """The set of the capabilities `names` ("CAP_CHOWN").

    Raises: InvalidArgument for an unknown name.
    """
    bits = 0
    for name in names:
        if name not in CAPABILITIES:
            raise InvalidArgument(f"unknown capability {name!r}", fix="see capabilities(7) for the names")
        bits |= 1 << CAPABILITIES[name]
    return bits


def names(bits: int) -> list[str]:
    """The names in a set, in the kernel's order; capabilities newer than this table are left out."""
    return [name for name, number in CAPABILITIES.items() if bits >> number & 1]


def last_cap() -> int:
    """The number of the last capability that this kernel knows. /proc/sys/kernel/cap_last_cap.

    Raises: SyscallError when /proc is not there.
    """
    path = "/proc/sys/kernel/cap_last_cap"
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def all_known() -> int:
    """The set of all capabilities that this kernel knows."""
    return (1 << (last_cap() + 1)) - 1


def bounding_set() -> int:
    """The bounding set of this process: prctl(PR_CAPBSET_READ) until the kernel knows no more."""
    bits = 0
    for number in range(64):
        try:
            if syscall(SYS_prctl, "prctl", "PR_CAPBSET_READ", _PR_CAPBSET_READ, number, 0, 0, 0):
                bits |= 1 << number
        except SyscallError as error:
            if error.errno == errno.EINVAL:
                break
            raise
    return bits


def get_capabilities(pid: int = 0) -> tuple[int, int, int]:
    """(effective, permitted, inheritable) of `pid`, 0 for this process. capget(2).

    Raises: SyscallError.
    """
    header = _header(_LINUX_CAPABILITY_VERSION_3, pid)
    pair = _data_pair()
    # SAFETY: `header` and `pair` outlive the call.
    syscall(SYS_capget, "capget", str(pid), ctypes.byref(header), ctypes.byref(pair))
    low, high = pair
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def drop_bounding(keep: int) -> int:
    """Take everything but `keep` out of the bounding set; the bounding set that is left.

    Needs CAP_SETPCAP for each capability that really goes. prctl(2) PR_CAPBSET_DROP.

    Raises: SyscallError.
    """
    # One call a capability: asking for the whole set first would double the time of a container's start.
    left = 0
    for number in range(64):
        kept = keep >> number & 1
        option, name = (_PR_CAPBSET_READ, "PR_CAPBSET_READ") if kept else (_PR_CAPBSET_DROP, "PR_CAPBSET_DROP")
        try:
            if syscall(SYS_prctl, "prctl", name, option, number, 0, 0, 0) and kept:
                left |= 1 << number
        except SyscallError as error:
            if error.errno == errno.EINVAL:
                break  # the kernel knows no more
            # Without CAP_SETPCAP even dropping what is not there is refused.
            if kept or error.errno != errno.EPERM or _is_bounded(number):
                raise
    return left


def _is_bounded(number: int) -> bool:
    return syscall(SYS_prctl, "prctl", "PR_CAPBSET_READ", _PR_CAPBSET_READ, number, 0, 0, 0) == 1


def set_capabilities(bounding: int, effective: int, permitted: int, inheritable: int, ambient: int) -> int:
    """Give this process these five sets; what the machine could not grant, 0 normally.

    A host can lack capabilities itself (a container in a container): those are missing in our bounding set,
    can't be granted to anyone, and are returned so that the caller can warn. Call drop_bounding before the
    user changes and this behind it, with PR_SET_KEEPCAPS between.

    Raises: SyscallError (EPERM: not permitted to this process).
    """
    available = bounding_set()
    missing = (bounding | effective | permitted | inheritable) & ~available
    # Before capset, because it needs CAP_SETPCAP, which the new sets may lack.
    if available & ~bounding:
        drop_bounding(bounding)
    capset(effective & available, permitted & available, inheritable & available)
    set_ambient(ambient & available)
    return missing & all_bits(bounding | permitted)


def all_bits(bits: int) -> int:
    """`bits` without those that no capability of this table has: a mask of ones means "all"."""
    return bits & ((1 << len(CAPABILITIES)) - 1)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Give this process these three sets, and leave the bounding and the ambient one. capset(2).

    Raises: SyscallError (EPERM: not permitted to this process).
    """
    header = _header(_LINUX_CAPABILITY_VERSION_3, 0)
    pair = _data_pair(
        *(
            _data(
                effective >> shift & 0xFFFFFFFF,
                permitted >> shift & 0xFFFFFFFF,
                inheritable >> shift & 0xFFFFFFFF,
            )
            for shift in (0, 32)
        )
    )
    # SAFETY: `header` and `pair` outlive the call.
    syscall(SYS_capset, "capset", "", ctypes.byref(header), ctypes.byref(pair))


def set_ambient(ambient: int) -> None:
    """Make `ambient` the ambient set; each of its capabilities must be permitted and inheritable.

    prctl(2) PR_CAP_AMBIENT, Linux 4.3.

    Raises: SyscallError.
    """
    clear = (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    syscall(SYS_prctl, "prctl", "PR_CAP_AMBIENT_CLEAR_ALL", *clear)
    for name in names(ambient):
        raise_one = (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, CAPABILITIES[name], 0, 0)
        syscall(SYS_prctl, "prctl", f"PR_CAP_AMBIENT_RAISE {name}", *raise_one)
