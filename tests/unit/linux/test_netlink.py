"""shoal.linux.netlink: message layout and parsing, without touching the machine."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import shoal
from shoal.errors import SyscallError
from shoal.linux import rtnetlink
from shoal.linux.netlink import Netlink


def request(kind: int, body: bytes = b"") -> rtnetlink.Request:
    """A request named `x`, as the error paths need it."""
    return rtnetlink.Request(kind, 0, "x", body)


def test_attribute_odd_length_is_padded_but_not_counted() -> None:
    """An attribute's length excludes its padding, as rtnetlink(7) demands."""
    assert rtnetlink.attribute(3, b"abc") == struct.pack("HH", 7, 3) + b"abc\0"


def test_attributes_of_a_built_body_are_read_back() -> None:
    """Building and parsing are inverse, nested flag removed."""
    body = rtnetlink.string(3, "eth0") + rtnetlink.u32(4, 1500) + rtnetlink.nested(18, rtnetlink.string(1, "veth"))
    found = rtnetlink.attributes(body, 0)
    assert found[3] == b"eth0\0"
    assert found[4] == struct.pack("I", 1500)
    assert rtnetlink.attributes(found[18], 0)[1] == b"veth\0"


def test_attributes_with_a_zero_length_stop() -> None:
    """A hostile length of zero ends the parse instead of looping."""
    assert rtnetlink.attributes(bytes(64), 0) == {}


def test_messages_with_a_short_length_stop() -> None:
    """A message that claims to be shorter than its header ends the datagram."""
    assert list(rtnetlink.messages(struct.pack("IHHII", 3, 2, 0, 1, 0))) == []


def test_messages_two_in_one_datagram_are_both_seen() -> None:
    """Messages are split at four-byte boundaries."""
    first = rtnetlink.message(request(16, b"12345"), 1, 7)
    second = rtnetlink.message(request(20, b"6789"), 1, 8)
    assert [(kind, sequence) for kind, _, sequence, _ in rtnetlink.messages(first + second)] == [(16, 7), (20, 8)]


def test_parse_error_zero_is_success() -> None:
    """An error code of zero is the acknowledgement."""
    assert rtnetlink.parse_error(request(16), 0, struct.pack("i", 0) + bytes(16)) is None


def test_parse_error_with_extended_ack_tells_the_kernels_sentence() -> None:
    """The error names message and object, and carries the kernel's own words."""
    payload = struct.pack("i", -errno.EEXIST) + bytes(16) + rtnetlink.string(1, "already there")
    error = rtnetlink.parse_error(request(16), rtnetlink.NLM_F_ACK_TLVS, payload)
    assert isinstance(error, SyscallError)
    assert error.errno == errno.EEXIST
    assert str(error) == "RTM_NEWLINK `x`: file exists (already there)"


def test_parse_address_on_a_point_to_point_link_is_the_local_end() -> None:
    """IFA_LOCAL wins over IFA_ADDRESS."""
    body = struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, 5)
    body += rtnetlink.attribute(1, socket.inet_aton("10.0.0.2")) + rtnetlink.attribute(2, socket.inet_aton("10.0.0.1"))
    address = rtnetlink.parse_address(body)
    assert (address.index, address.address, address.prefix) == (5, "10.0.0.1", 32)


def test_parse_route_default_has_a_zero_destination() -> None:
    """The default route reads as 0.0.0.0/0 with its gateway and link."""
    body = struct.pack("BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0)
    body += rtnetlink.attribute(5, socket.inet_aton("10.0.0.1")) + rtnetlink.u32(4, 2)
    route = rtnetlink.parse_route(body)
    assert (route.destination, route.prefix, route.gateway, route.index, route.table) == (
        "0.0.0.0", 0, "10.0.0.1", 2, 254,
    )  # fmt: skip


def test_link_list_of_this_namespace_has_loopback() -> None:
    """Reading needs no privilege, and loopback is the first link everywhere."""
    with Netlink() as connection:
        assert connection.link_get("lo").index == 1
        assert "lo" in [link.name for link in connection.link_list()]
        assert "127.0.0.1" in [address.address for address in connection.addr_list("lo")]


def test_link_get_unknown_name_raises_enodev() -> None:
    """A missing link is told with its name."""
    with Netlink() as connection, pytest.raises(SyscallError) as caught:
        connection.link_get("shoal-none")
    assert caught.value.errno == errno.ENODEV
    assert "shoal-none" in str(caught.value)


def test_pack_address_malformed_raises_einval() -> None:
    """Something that isn't an address never reaches the kernel."""
    with pytest.raises(SyscallError) as caught:
        rtnetlink.pack_address("10.0.0.300")
    assert caught.value.errno == errno.EINVAL


def test_import_pulls_only_what_socket_and_struct_pull() -> None:
    """The module adds nothing to the supervisor beyond the allow-list's own dependencies."""
    sources = str(Path(shoal.__file__).parents[1])
    source = f"import os, sys, errno, socket, struct; before = set(sys.modules); sys.path.insert(0, {sources!r})"
    source += "; import shoal.linux.netlink; print(*sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) == {
        "__future__",
        "shoal",
        "shoal.errors",
        "shoal.linux",
        "shoal.linux.netlink",
        "shoal.linux.rtnetlink",
    }


def test_parse_error_of_an_optional_request_is_none() -> None:
    """What a kernel without IPv6 refuses is no failure."""
    optional = rtnetlink.Request(16, 0, "x", b"", optional=True)
    assert rtnetlink.parse_error(optional, 0, struct.pack("i", -errno.EAFNOSUPPORT) + bytes(16)) is None


def test_change_address_deletion_has_no_creation_flags() -> None:
    """In a deletion the bit of NLM_F_EXCL would mean NLM_F_BULK."""
    added = rtnetlink.change_address(rtnetlink.RTM_NEWADDR, 2, "10.0.0.1", 24, "eth0")
    taken = rtnetlink.change_address(rtnetlink.RTM_DELADDR, 2, "10.0.0.1", 24, "eth0")
    assert (added.flags, taken.flags) == (0x600, 0)
    assert socket.inet_aton("10.0.0.255") in added.body
