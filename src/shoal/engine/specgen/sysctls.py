"""The kernel parameters of a container: Docker's two defaults and `--sysctl`. Pure.

Source: Docker API v1.50 HostConfig.Sysctls; namespaces(7) says which parameter belongs to which namespace.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.engine.specgen.namespaces import Modes
from shoal.errors import InvalidArgument

_IPC = frozenset(
    f"kernel.{name}"
    for name in [
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
        "msg_next_id",
        "sem_next_id",
        "shm_next_id",
    ]
)
# Of the namespaces that a container has of its own: port numbers from 0 need no capability, ping no raw socket.
_DEFAULTS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def container_sysctls(wanted: Mapping[str, str], modes: Modes) -> dict[str, str]:
    """The parameters to set, by dotted name.

    Raises: InvalidArgument for one that would change the host or another container.
    """
    values = dict(_DEFAULTS) if modes.network == "private" else {}
    for name, value in wanted.items():
        _check(name, modes)
        values[name] = value
    return values


def _check(name: str, modes: Modes) -> None:
    if name.startswith("net."):
        if modes.network != "private":
            where = "host" if modes.network == "host" else "another container's"
            raise InvalidArgument(f'sysctl "{name}" not allowed in {where} network namespace')
        return
    if name in _IPC or name.startswith("fs.mqueue."):
        if modes.ipc == "host":
            raise InvalidArgument(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
        return
    if name in ("kernel.domainname", "kernel.hostname"):
        raise InvalidArgument(
            f"sysctl '{name}' not allowed", why="it is the container's name", fix="use --hostname or --domainname"
        )
    raise InvalidArgument(f"sysctl '{name}' is not allowed", why="it is not in a separate kernel namespace")
