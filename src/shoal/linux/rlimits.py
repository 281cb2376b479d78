"""Resource limits of the calling process. setrlimit(2).

Used by the child before it gives up its privileges.
"""

from __future__ import annotations

import resource

from shoal.errors import InvalidArgument, SyscallError

# The kernel writes "no limit" as ~0; resource has -1 for it.
_INFINITY = 0xFFFFFFFFFFFFFFFF

# OCI runtime-spec §POSIX process: rlimits[].type.
RLIMITS = {
    name: getattr(resource, name)
    for name in (
        "RLIMIT_AS",
        "RLIMIT_CORE",
        "RLIMIT_CPU",
        "RLIMIT_DATA",
        "RLIMIT_FSIZE",
        "RLIMIT_MEMLOCK",
        "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE",
        "RLIMIT_NOFILE",
        "RLIMIT_NPROC",
        "RLIMIT_RSS",
        "RLIMIT_RTPRIO",
        "RLIMIT_RTTIME",
        "RLIMIT_SIGPENDING",
        "RLIMIT_STACK",
    )
    if hasattr(resource, name)
}
RLIMITS.setdefault("RLIMIT_LOCKS", 10)  # include/uapi/asm-generic/resource.h, unused since Linux 2.4
RLIMITS.setdefault("RLIMIT_RTTIME", 15)


def set_rlimit(name: str, soft: int, hard: int) -> str | None:
    """None when both limits are set; a warning when they had to be clamped to the present hard limit.

    Raising a hard limit needs CAP_SYS_RESOURCE, which not every host's root has. -1 and 2⁶⁴-1 mean no limit.

    Raises: InvalidArgument for an unknown name or a soft limit above the hard one; SyscallError.
    """
    if name not in RLIMITS:
        raise InvalidArgument(f"invalid rlimit type {name!r}", fix="see getrlimit(2) for the names")
    soft, hard = _number(soft), _number(hard)
    if _above(soft, hard):
        raise InvalidArgument(f"invalid {name}: the soft limit {_text(soft)} is above the hard limit {_text(hard)}")
    number = RLIMITS[name]
    try:
        resource.setrlimit(number, (soft, hard))
        return None
    except ValueError:
        pass  # EPERM or EINVAL, which resource does not tell apart
    except OSError as error:
        raise SyscallError("setrlimit", name, error.errno or 0) from None
    return _clamp(name, number, soft, hard)


def _clamp(name: str, number: int, soft: int, hard: int) -> str:
    """Set what is possible without raising the hard limit; the warning that says so."""
    _, ceiling = resource.getrlimit(number)
    new_hard = ceiling if _above(hard, ceiling) else hard
    new_soft = new_hard if _above(soft, new_hard) else soft
    try:
        resource.setrlimit(number, (new_soft, new_hard))
    except (ValueError, OSError) as error:
        raise SyscallError("setrlimit", name, getattr(error, "errno", 0) or 22) from None
    return (
        f"{name} is {_text(new_soft)}:{_text(new_hard)} instead of {_text(soft)}:{_text(hard)}: the hard "
        f"limit of this process is {_text(ceiling)}, and raising it needs CAP_SYS_RESOURCE, which it lacks"
    )


def _number(limit: int) -> int:
    return resource.RLIM_INFINITY if limit < 0 or limit >= _INFINITY else limit


def _above(one: int, other: int) -> bool:
    """Whether the limit `one` is wider than `other`."""
    if other == resource.RLIM_INFINITY:
        return False
    return one == resource.RLIM_INFINITY or one > other


def _text(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
