"""How the kernel treats a process beside its limits: scheduling, I/O priority, execution domain, memory policy.

Used by the child that becomes a container's process. Names are the kernel's, as the OCI runtime spec has them too.
"""

from __future__ import annotations

import ctypes

from shoal.errors import InvalidArgument
from shoal.linux.libc import SYS_ioprio_set, SYS_personality, SYS_sched_setattr, SYS_set_mempolicy, syscall

# include/uapi/linux/sched.h
POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
SCHEDULER_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
# include/uapi/linux/ioprio.h
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_IOPRIO_CLASS_SHIFT = 13
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_LEVELS = 8
# include/uapi/linux/personality.h
PERSONALITIES = {"LINUX": 0x0000, "LINUX32": 0x0008}
# include/uapi/linux/mempolicy.h
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
_BITS_OF_LONG = 64
# What a list of processors or memory nodes may name: MAX_NUMNODES and CONFIG_NR_CPUS stay below it.
_MOST_NUMBERS = 8192


class sched_attr(ctypes.Structure):  # noqa: N801 — the kernel's name
    """struct sched_attr, include/uapi/linux/sched/types.h, SCHED_ATTR_SIZE_VER0."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    ]


def set_scheduler(
    policy: int,
    *,
    flags: int = 0,
    nice: int = 0,
    priority: int = 0,
    runtime: int = 0,
    deadline: int = 0,
    period: int = 0,
) -> None:
    """Schedules this process as asked; times in ns. sched_setattr(2), Linux 3.14.

    Raises: SyscallError (EPERM without CAP_SYS_NICE, EBUSY: no bandwidth left for SCHED_DEADLINE).
    """
    attributes = sched_attr(
        size=ctypes.sizeof(sched_attr),
        sched_policy=policy,
        sched_flags=flags,
        sched_nice=nice,
        sched_priority=priority,
        sched_runtime=runtime,
        sched_deadline=deadline,
        sched_period=period,
    )
    # SAFETY: `attributes` outlives the call.
    syscall(SYS_sched_setattr, "sched_setattr", _name(POLICIES, policy), 0, ctypes.byref(attributes), 0)


def set_io_priority(io_class: int, priority: int) -> None:
    """Gives this process an I/O class and, in it, a level from 0 (first) to 7. ioprio_set(2).

    Raises: SyscallError (EPERM: IOPRIO_CLASS_RT without CAP_SYS_NICE); InvalidArgument for another level.
    """
    if not 0 <= priority < _IOPRIO_LEVELS:
        raise InvalidArgument(f"invalid I/O priority {priority}", why=f"it is from 0 to {_IOPRIO_LEVELS - 1}")
    value = io_class << _IOPRIO_CLASS_SHIFT | priority
    syscall(SYS_ioprio_set, "ioprio_set", _name(IO_CLASSES, io_class), _IOPRIO_WHO_PROCESS, 0, value)


def set_personality(domain: int) -> None:
    """Puts this process into an execution domain: what uname(2) says of the machine. personality(2).

    Raises: SyscallError.
    """
    syscall(SYS_personality, "personality", _name(PERSONALITIES, domain), domain)


def set_memory_policy(mode: int, nodes: str) -> None:
    """Lets this process allocate by `mode` (flags included) from `nodes` ("0-1,3", "" for none). set_mempolicy(2).

    Raises: SyscallError (ENOSYS: a kernel without NUMA); InvalidArgument for a malformed list.
    """
    wanted = numbers_in(nodes)
    words = [0] * (max(wanted, default=0) // _BITS_OF_LONG + 1)
    for node in wanted:
        words[node // _BITS_OF_LONG] |= 1 << node % _BITS_OF_LONG
    mask = (ctypes.c_uint64 * len(words))(*words)
    # SAFETY: `mask` outlives the call. The kernel takes one bit less than it is told.
    size = len(words) * _BITS_OF_LONG + 1 if wanted else 0
    syscall(SYS_set_mempolicy, "set_mempolicy", nodes, mode, ctypes.byref(mask) if wanted else None, size)


def numbers_in(text: str) -> set[int]:
    """The numbers of a list of processors or memory nodes as cpuset(7) writes it: "0-2,7".

    Raises: InvalidArgument.
    """
    found: set[int] = set()
    for part in text.replace(" ", "").split(",") if text.strip() else []:
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise InvalidArgument(f"invalid list {text!r}", why="it is numbers and ranges such as 0-2,7")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[-1] >= _MOST_NUMBERS:
            raise InvalidArgument(f"invalid list {text!r}", why=f"{part} is no range of numbers below {_MOST_NUMBERS}")
        found.update(numbers)
    return found


def _name(table: dict[str, int], number: int) -> str:
    return next((name for name, value in table.items() if value == number), str(number))
