"""shoal.network.firewall.conntrack: which flows lead to a published port."""

from __future__ import annotations

import socket
import struct

import pytest

from shoal.network.endpoint import PublishedPort
from shoal.network.firewall.conntrack import leads_to


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute."""
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) & 3)


def flow(target: str, port: int, protocol: int = socket.IPPROTO_UDP) -> bytes:
    """The original tuple of a flow, as ctnetlink nests it."""
    addresses = attribute(1, socket.inet_aton("192.0.2.1")) + attribute(2, socket.inet_aton(target))
    numbers = attribute(1, bytes([protocol])) + attribute(2, struct.pack(">H", 999))
    numbers += attribute(3, struct.pack(">H", port))
    return attribute(1 | 0x8000, addresses) + attribute(2 | 0x8000, numbers)


@pytest.mark.parametrize(
    ("tuple_", "host_ip", "expected"),
    [
        (flow("192.0.2.2", 5353), "0.0.0.0", True),
        (flow("127.0.0.1", 5353), "127.0.0.1", True),
        (flow("192.0.2.2", 5353), "127.0.0.1", False),
        (flow("192.0.2.2", 5354), "0.0.0.0", False),
        (flow("192.0.2.2", 5353, socket.IPPROTO_TCP), "0.0.0.0", False),
        (b"", "0.0.0.0", False),
    ],
)
def test_leads_to_compares_protocol_port_and_address(tuple_: bytes, host_ip: str, expected: bool) -> None:
    """Only a UDP flow whose original destination is the published one is forgotten."""
    assert leads_to(tuple_, [PublishedPort("udp", 53, host_ip, 5353)]) is expected
