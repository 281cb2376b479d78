"""Requests for interfaces that sit on others (macvlan, ipvlan, vlan), and for a dummy to sit on. Pure; used by shoald.

Sources: linux/if_link.h (IFLA_MACVLAN_*, IFLA_IPVLAN_*, IFLA_VLAN_*), macvlan and ipvlan in the kernel's documentation.
"""

from __future__ import annotations

from struct import pack

from shoal.linux.rtnetlink import (
    IFF_UP,
    IFINFOMSG,
    IFLA_IFALIAS,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_NET_NS_PID,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_NEWLINK,
    Request,
    attribute,
    common_attributes,
    nested,
    string,
    u32,
)

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_IFLA_LINK = 5
_IFLA_MACVLAN_MODE, _IFLA_IPVLAN_MODE, _IFLA_IPVLAN_FLAGS, _IFLA_VLAN_ID = 1, 1, 2, 1


def add_macvlan(name: str, parent: int, *, mode: str, pid: int, mac: str | None, mtu: int | None) -> Request:
    """Create the macvlan `name` of the interface with the index `parent`, in the network namespace of `pid`, down."""
    own = common_attributes(name, mac=mac, mtu=mtu) + u32(IFLA_NET_NS_PID, pid)
    return _add(name, "macvlan", parent, own, u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]))


def add_ipvlan(name: str, parent: int, *, mode: str, flag: str, pid: int, mtu: int | None) -> Request:
    """Create the ipvlan `name`, as `add_macvlan`; it has its parent's MAC. Flags: Linux 4.15."""
    own = common_attributes(name, mac=None, mtu=mtu) + u32(IFLA_NET_NS_PID, pid)
    data = _u16(_IFLA_IPVLAN_MODE, IPVLAN_MODES[mode])
    if IPVLAN_FLAGS[flag]:
        data += _u16(_IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[flag])
    return _add(name, "ipvlan", parent, own, data)


def add_vlan(name: str, parent: int, *, number: int) -> Request:
    """Create the interface of the tagged VLAN `number`, down."""
    return _add(name, "vlan", parent, common_attributes(name, mac=None, mtu=None), _u16(_IFLA_VLAN_ID, number))


def add_dummy(name: str) -> Request:
    """Create an interface that swallows what it is given, down."""
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + common_attributes(name, mac=None, mtu=None)
    body += nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, "dummy"))
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, body)


def bring_up_as(name: str, alias: str) -> Request:
    """Bring an interface up, with a word for people, and for us, that tells whose it is (`ip link` shows it)."""
    body = pack(IFINFOMSG, 0, 0, 0, IFF_UP, IFF_UP) + common_attributes(name, mac=None, mtu=None)
    return Request(RTM_NEWLINK, 0, name, body + attribute(IFLA_IFALIAS, alias.encode()))


def ask_for(kind: str) -> Request:
    """Create an interface that lacks its parent: EINVAL tells that the kernel has the kind, EOPNOTSUPP that it has not.

    The kernel loads its module first, where there is one.
    """
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, kind))
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, kind, body)


def _add(name: str, kind: str, parent: int, own: bytes, data: bytes) -> Request:
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + own + u32(_IFLA_LINK, parent)
    body += nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, kind) + nested(IFLA_INFO_DATA, data))
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, body)


def _u16(kind: int, number: int) -> bytes:
    return attribute(kind, pack("H", number))
