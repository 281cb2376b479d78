"""IPv6 as the host has it: whether the kernel has any, and forwarding that costs the host nothing. Blocking.

A host that forwards is a router, and a router takes no routes from other routers' advertisements: switching forwarding
on would take the default route from a host that learnt its own so. Therefore every interface that listens to routers is
first told to go on with it (accept_ra=2). Source: ip-sysctl, `accept_ra`, `forwarding`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from pathlib import Path

from shoal.errors import SyscallError, Unavailable
from shoal.linux.netlink import Netlink

_ROOT = "/proc/sys/net/ipv6"
_FORWARDING = "conf/all/forwarding"
_BRIDGE_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-ip6tables"
_LISTENS_UNLESS_ROUTER, _LISTENS = "1", "2"


def check_ipv6() -> None:
    """Raises: Unavailable when the kernel has no IPv6."""
    if not os.path.isdir(_ROOT):
        raise Unavailable(
            "this host has no IPv6",
            why="its kernel was built without it, or started with ipv6.disable=1",
            fix="leave --ipv6 out, or start the kernel without ipv6.disable=1",
        )


def forwarding_changes() -> dict[str, str]:
    """What has to be changed for the host to forward IPv6, in order: settings under net.ipv6 and their new values."""
    if _read(_FORWARDING) != "0":
        return {}
    changes = {}
    for name in sorted(os.listdir(f"{_ROOT}/conf")):
        # `default` is what interfaces get that are yet to come.
        if name != "all" and _read(f"conf/{name}/accept_ra") == _LISTENS_UNLESS_ROUTER:
            changes[f"conf/{name}/accept_ra"] = _LISTENS
    return {**changes, _FORWARDING: "1"}


def apply(changes: Mapping[str, str]) -> None:
    """Make the changes. Raises: SyscallError."""
    for setting, value in changes.items():
        _write(setting, value)


def take_back(changes: Iterable[tuple[str, str]]) -> None:
    """Undo changes of `forwarding_changes`, but what somebody has changed since. Raises: SyscallError."""
    for setting, value in reversed(list(changes)):
        if _read(setting) == value:
            _write(setting, "0" if setting == _FORWARDING else _LISTENS_UNLESS_ROUTER)


def reaches_loopback() -> bool:
    """Whether what the host sends to ::1 can be translated to lead into a bridge.

    Not where iptables sees what passes bridges (br_netfilter): there answers are translated back to ::1 before they
    leave the bridge, and the kernel drops them as having come by the wire.
    """
    try:
        return Path(_BRIDGE_NETFILTER).read_text(encoding="ascii").strip() == "0"
    except FileNotFoundError:
        return True


def has_other_bridges6(netlink: Netlink) -> bool:
    """Whether a bridge of the host has an IPv6 address of more than its own link: somebody's network, that is."""
    bridges = {link.index for link in netlink.link_list() if link.kind == "bridge"}
    return any(
        address.index in bridges and not IPv6Address(address.address).is_link_local
        for address in netlink.addr_list()
        if address.family == socket.AF_INET6
    )


def quieten(interface: str) -> None:
    """Let an interface have IPv6, and take neither addresses nor routes from whoever advertises them on its link.

    Raises: SyscallError.
    """
    _write(f"conf/{interface}/accept_ra", "0")
    _write(f"conf/{interface}/disable_ipv6", "0")


def _read(setting: str) -> str:
    """The value, "" for a setting that there is not, as of an interface that has just gone."""
    try:
        return Path(f"{_ROOT}/{setting}").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _write(setting: str, value: str) -> None:
    try:
        with open(f"{_ROOT}/{setting}", "w", encoding="ascii") as file:
            file.write(value)
    except FileNotFoundError:
        pass  # the interface has gone
    except OSError as error:
        words = f"net.ipv6.{setting.replace('/', '.')}"
        raise SyscallError("write", words, error.errno or errno.EIO) from None
