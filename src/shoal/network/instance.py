"""Names of what a daemon puts on the host's network, so that several side by side never meet. Pure."""

from __future__ import annotations

import hashlib
import os

DEFAULT_EXEC_ROOT = "/run/shoal"


def instance_suffix(exec_root: str) -> str:
    """ "" for the default daemon, else eight hex digits of its exec root."""
    normal = os.path.normpath(exec_root)
    if normal == DEFAULT_EXEC_ROOT:
        return ""
    return hashlib.sha256(normal.encode()).hexdigest()[:8]


def bridge_name(exec_root: str) -> str:
    """The default bridge of the daemon with this exec root: `shoal0`, or `sh-` and its suffix."""
    suffix = instance_suffix(exec_root)
    return f"sh-{suffix}" if suffix else "shoal0"


def table_name(exec_root: str) -> str:
    """The nftables table of the daemon with this exec root: `shoal`, or `sh-` and its suffix."""
    suffix = instance_suffix(exec_root)
    return f"sh-{suffix}" if suffix else "shoal"


def daemon_group(table: str) -> int:
    """The upper half of the device groups of a daemon's bridge ports; never 0, which all other interfaces are in."""
    return (1 + _number(table) % 0x7FFE) << 16


def network_group(table: str, bridge: str) -> int:
    """The device group of the ports of one bridge. That of two may be the same, which costs them nothing much."""
    return daemon_group(table) | _number(bridge) & 0xFFFF


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def veth_name(container_id: str, endpoint_id: str) -> str:
    """The host's end of a container's veth pair, at most 15 bytes.

    Of both ids, because a container that restarts gets its new pair while the kernel still takes the old down.
    """
    return f"ve{container_id[:7]}{endpoint_id[:4]}"
