"""Which capabilities a container holds: Docker's default set, `--cap-add`, `--cap-drop`, `--privileged`.

Source: Docker documentation "Runtime privilege and Linux capabilities"; capabilities(7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Capabilities

# By number, from CAP_CHOWN = 0. <linux/capability.h>
ALL_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
)

DEFAULT_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)

_ALL = "ALL"


def normalize_capabilities(names: Iterable[str], available: Sequence[str]) -> list[str]:
    """The names in the kernel's spelling; "ALL" stays. Raises: InvalidArgument in Docker's words."""
    normal = []
    for name in names:
        upper = name.upper()
        if upper == _ALL:
            normal.append(_ALL)
            continue
        if not upper.startswith("CAP_"):
            upper = f"CAP_{upper}"
        if upper not in ALL_CAPABILITIES:
            raise InvalidArgument(f'unknown capability: "{upper}"')
        if upper not in available:
            raise InvalidArgument(
                f'capability not supported by your kernel or not available in the current environment: "{upper}"'
            )
        normal.append(upper)
    return normal


def container_capabilities(
    added: Iterable[str], dropped: Iterable[str], available: Sequence[str], *, privileged: bool
) -> tuple[str, ...]:
    """The capabilities that the container's processes can have, as Docker computes them.

    `--cap-drop ALL` leaves exactly what was added; `--cap-add ALL` leaves all but what was dropped.

    Raises: InvalidArgument for unknown names, `invalid CapAdd: …`.
    """
    adds = _wrapped(added, available, "CapAdd")
    drops = _wrapped(dropped, available, "CapDrop")
    if privileged:
        return tuple(available)
    if _ALL in adds:
        return tuple(name for name in available if name not in drops)
    if _ALL in drops:
        return tuple(dict.fromkeys(adds))
    kept = [name for name in DEFAULT_CAPABILITIES if name in available and name not in drops]
    return tuple(dict.fromkeys([*kept, *adds]))


def capability_sets(held: tuple[str, ...]) -> Capabilities:
    """The sets of a process that starts as root: inheritable and ambient stay empty, as in Docker since 20.10.14.

    For another user the kernel clears effective and permitted itself when the child changes its uid.
    """
    return Capabilities(bounding=held, effective=held, permitted=held)


def _wrapped(names: Iterable[str], available: Sequence[str], field: str) -> list[str]:
    try:
        return normalize_capabilities(names, available)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid {field}: {error.what}") from None
