"""The requests for stacked interfaces, byte by byte as iproute2 sends them."""

from __future__ import annotations

import struct

import pytest

from shoal.linux import link_kinds
from shoal.linux.rtnetlink import IFINFOMSG, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, Request, attributes

_LINK, _LINKINFO, _ADDRESS, _NET_NS_PID, _ALIAS = 5, 18, 1, 19, 20


def read(request: Request) -> dict[int, bytes]:
    """The attributes of a request, after its header."""
    return attributes(request.body, struct.calcsize(IFINFOMSG))


def info(request: Request) -> tuple[bytes, str]:
    """The kind, and its own attributes in hexadecimal."""
    found = attributes(read(request)[_LINKINFO], 0)
    return found[IFLA_INFO_KIND].rstrip(b"\0"), found.get(IFLA_INFO_DATA, b"").hex(" ")


@pytest.mark.parametrize(
    ("mode", "data"),
    [("private", "01"), ("vepa", "02"), ("bridge", "04"), ("passthru", "08")],
)
def test_macvlan_has_its_mode_its_parent_and_its_mac(mode: str, data: str) -> None:
    """What `ip link add link 3 name eth0 netns 77 type macvlan mode …` sends."""
    request = link_kinds.add_macvlan("eth0", 3, mode=mode, pid=77, mac="02:42:0a:00:00:02", mtu=None)
    assert info(request) == (b"macvlan", f"08 00 01 00 {data} 00 00 00")
    found = read(request)
    assert found[_LINK] == struct.pack("I", 3)
    assert found[_NET_NS_PID] == struct.pack("I", 77)
    assert found[_ADDRESS].hex(":") == "02:42:0a:00:00:02"
    assert found[IFLA_IFNAME] == b"eth0\0"


@pytest.mark.parametrize(
    ("mode", "flag", "data"),
    [
        ("l2", "bridge", "06 00 01 00 00 00 00 00"),
        ("l3", "bridge", "06 00 01 00 01 00 00 00"),
        ("l3s", "vepa", "06 00 01 00 02 00 00 00 06 00 02 00 02 00 00 00"),
        ("l3", "private", "06 00 01 00 01 00 00 00 06 00 02 00 01 00 00 00"),
    ],
)
def test_ipvlan_has_its_mode_and_its_flag(mode: str, flag: str, data: str) -> None:
    """Flags are left out where they are the usual ones, which kernels before 4.15 do not know."""
    request = link_kinds.add_ipvlan("eth0", 3, mode=mode, flag=flag, pid=77, mtu=1400)
    assert info(request) == (b"ipvlan", data)
    assert _ADDRESS not in read(request)


def test_vlan_has_its_number() -> None:
    """What `ip link add link 3 name eth0.10 type vlan id 10` sends."""
    request = link_kinds.add_vlan("eth0.10", 3, number=10)
    assert info(request) == (b"vlan", "06 00 01 00 0a 00 00 00")
    assert read(request)[_LINK] == struct.pack("I", 3)


def test_dummy_is_a_kind_and_a_name() -> None:
    """What `ip link add dm-1 type dummy` sends."""
    request = link_kinds.add_dummy("dm-1")
    assert info(request) == (b"dummy", "")
    assert read(request)[IFLA_IFNAME] == b"dm-1\0"


def test_bring_up_as_names_its_owner() -> None:
    """The interface comes up, and `ip link` shows whose it is."""
    request = link_kinds.bring_up_as("dm-1", "shoal network parent")
    assert struct.unpack_from(IFINFOMSG, request.body)[3:] == (1, 1)
    assert read(request)[_ALIAS] == b"shoal network parent"
