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


def veth_name(container_id: str, endpoint_id: str) -> str:
    """The host's end of a container's veth pair, at most 15 bytes.

    Of both ids, because a container that restarts gets its new pair while the kernel still takes the old down.
    """
    return f"ve{container_id[:7]}{endpoint_id[:4]}"
