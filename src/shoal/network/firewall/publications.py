"""A published port as an element of the table's maps, in bytes. Pure."""

from __future__ import annotations

import socket
import struct

from shoal.network.firewall.elements import Element
from shoal.network.firewall.ruleset import PUBLISHED6_AT, PUBLISHED_AT, Publication, map_of

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


def element_of(publication: Publication) -> Element:
    """The element that publishes the port."""
    port, name = publication.port, map_of(publication)
    key = struct.pack(">B3x", _PROTOCOLS[port.protocol])
    if name in (PUBLISHED_AT, PUBLISHED6_AT):
        key += pack_address(port.host_ip)
    target = pack_address(publication.container_ip) + struct.pack(">H2x", port.container_port)
    return Element(name, key + struct.pack(">H2x", port.host_port), target)


def pack_address(text: str) -> bytes:
    """The bytes of an IP address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
