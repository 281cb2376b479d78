"""The host's interfaces that macvlan and ipvlan networks sit on: shared, made where they can be, taken away after use.

`eth0` is there or it isn't; `eth0.10` is made as VLAN 10 of eth0 where it is missing; a network without a parent gets a
dummy, `dm-` and its id. What was made carries the daemon's word as its alias, so that nothing else is ever removed.
Blocking; for the worker thread of `BridgeHost`.
"""

from __future__ import annotations

import errno

from shoal.errors import Forbidden, InvalidArgument, SyscallError, Unsupported
from shoal.linux.link_kinds import add_dummy, add_vlan, ask_for, bring_up_as
from shoal.linux.netlink import Link, Netlink
from shoal.linux.rtnetlink import Request

_MODULES = {"macvlan": "macvlan", "ipvlan": "ipvlan", "vlan": "8021q", "dummy": "dummy"}
_VLAN_MAX = 4094


class Parents:
    """Who uses which parent. `table` is the name under which the daemon goes on the host."""

    def __init__(self, table: str) -> None:
        self._alias = f"{table} network parent"
        self._users: dict[str, dict[str, bool]] = {}

    def hold(self, netlink: Netlink, parent: str, network: str, *, exclusive: bool) -> None:
        """Have the parent be there for a network, until `let_go`; `exclusive`: for no other one.

        Raises: InvalidArgument (there is none and none can be made), Forbidden (another network's), Unsupported.
        """
        others = {name: alone for name, alone in self._users.get(parent, {}).items() if name != network}
        if others and (exclusive or any(others.values())):
            name = next(iter(others))
            raise Forbidden(
                f"network {name} is already using parent interface {parent}",
                why="in the mode passthru an interface serves one network only",
                fix="name another parent, or use the mode bridge",
            )
        if _find(netlink, parent) is None:
            self._make(netlink, parent)
        self._users.setdefault(parent, {})[network] = exclusive

    def let_go(self, netlink: Netlink, parent: str, network: str) -> None:
        """The network needs it no more; the last one's is removed if it was made for it. Raises: SyscallError."""
        users = self._users.get(parent, {})
        users.pop(network, None)
        if users:
            return
        self._users.pop(parent, None)
        link = _find(netlink, parent)
        if link is not None and link.alias == self._alias:
            netlink.link_del(link.index)

    def _make(self, netlink: Netlink, parent: str) -> None:
        if parent.startswith("dm-"):
            _add(netlink, "dummy", add_dummy(parent), bring_up_as(parent, self._alias))
            return
        above, dot, number = parent.rpartition(".")
        if not dot or not (number.isascii() and number.isdigit()):
            raise InvalidArgument(
                f"invalid subinterface vlan name {parent}, example formatting is eth0.10",
                why=f"the host has no interface {parent}",
                fix="name one that there is: ip link",
            )
        if not 1 <= int(number) <= _VLAN_MAX:
            raise InvalidArgument(f"vlan id must be between 1-{_VLAN_MAX}, received: {number}")
        link = _find(netlink, above)
        if link is None:
            raise InvalidArgument(
                f"failed to find master interface {above} on the Docker host: Link not found", fix="ip link"
            )
        request = add_vlan(parent, link.index, number=int(number))
        _add(netlink, "vlan", request, bring_up_as(parent, self._alias))


def check_kind(netlink: Netlink, kind: str) -> None:
    """Raises: Unsupported when the kernel has no interfaces of this kind."""
    try:
        _add(netlink, kind, ask_for(kind))
    except SyscallError:
        pass  # the kernel knows the kind, and misses the parent


def _add(netlink: Netlink, kind: str, *requests: Request) -> None:
    try:
        netlink.link_add(*requests)
    except SyscallError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        module = _MODULES[kind]
        raise Unsupported(
            f"this kernel has no {kind} interfaces",
            why=f"it was built without them, or its module {module} cannot be loaded",
            fix=f"modprobe {module}; else use a network of the driver bridge",
        ) from None


def _find(netlink: Netlink, name: str) -> Link | None:
    try:
        return netlink.link_get(name)
    except SyscallError as error:
        if error.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):  # the latter for names that none can have
            return None
        raise
