"""Forgetting UDP flows that would bypass a new publication. Blocking; ctnetlink, needs CAP_NET_ADMIN.

The kernel translates a flow once, at its first packet. A client that keeps sending UDP from one port to a published
port would for ever reach what was there before: nothing, or a container that is gone. TCP mends itself, because a
new connection is a new flow. Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from shoal.errors import SyscallError
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, Endpoint, PublishedPort

_NETLINK_NETFILTER = 12
_CT_GET, _CT_DELETE = (1 << 8) | 1, (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 0x1, 0x4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_CTA_TUPLE_ORIG, _CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 1, 2
_CTA_IP_V4_DST, _CTA_IP_V6_DST = 2, 4
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_TYPE_MASK = 0x3FFF
_RECEIVE_SIZE = 1 << 18


def forget_udp_flows(endpoint: Endpoint) -> int:
    """Delete the flows to the endpoint's published UDP ports; how many there were. Nothing to do costs nothing.

    Raises: SyscallError.
    """
    ports = [port for port in endpoint.ports if port.protocol == "udp"]
    if not ports:
        return 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as connection:
        connection.bind((0, 0))
        count = 0
        families = {socket.AF_INET6 if port.is_ipv6 else socket.AF_INET for port in ports}
        for family in families:
            for flow in [flow for flow in _dump(connection, family) if leads_to(flow, ports)]:
                _delete(connection, family, flow)
                count += 1
    return count


def leads_to(flow: bytes, ports: list[PublishedPort]) -> bool:
    """Whether the flow's original destination is one of the published ports."""
    parts = dict(_attributes(flow))
    addresses = dict(_attributes(parts.get(_CTA_TUPLE_IP, b"")))
    address = addresses.get(_CTA_IP_V4_DST) or addresses.get(_CTA_IP_V6_DST)
    proto = dict(_attributes(parts.get(_CTA_TUPLE_PROTO, b"")))
    if address is None or proto.get(_CTA_PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
        return False
    number = int.from_bytes(proto.get(_CTA_PROTO_DST_PORT, b"\0\0"), "big")
    is_ipv6 = len(address) != 4
    target = socket.inet_ntop(socket.AF_INET6 if is_ipv6 else socket.AF_INET, address)
    anywhere = ANY_ADDRESS6 if is_ipv6 else ANY_ADDRESS
    return any(port.host_port == number and port.host_ip in (anywhere, target) for port in ports)


def _dump(connection: socket.socket, family: socket.AddressFamily) -> list[bytes]:
    """The original tuples of all flows of the family."""
    connection.send(_message(_CT_GET, _NLM_F_REQUEST | _NLM_F_DUMP, family, b""))
    found: list[bytes] = []
    while True:
        for kind, payload in _messages(connection.recv(_RECEIVE_SIZE)):
            if kind == _NLMSG_DONE:
                return found
            if kind == _NLMSG_ERROR:
                _raise_unless_gone(payload)
                return found
            found += [value for kind, value in _attributes(payload[4:]) if kind == _CTA_TUPLE_ORIG]


def _delete(connection: socket.socket, family: socket.AddressFamily, flow: bytes) -> None:
    body = struct.pack("HH", 4 + len(flow), _CTA_TUPLE_ORIG | 0x8000) + flow
    connection.send(_message(_CT_DELETE, _NLM_F_REQUEST | _NLM_F_ACK, family, body))
    for kind, payload in _messages(connection.recv(_RECEIVE_SIZE)):
        if kind == _NLMSG_ERROR:
            _raise_unless_gone(payload)


def _raise_unless_gone(payload: bytes) -> None:
    (code,) = struct.unpack_from("i", payload, 0)
    if -code in (0, errno.ENOENT):  # a flow may end by itself between dump and deletion
        return
    raise SyscallError("ctnetlink", os.strerror(-code), -code)


def _message(kind: int, flags: int, family: socket.AddressFamily, body: bytes) -> bytes:
    header = struct.pack("BBH", family, 0, 0)
    return struct.pack("IHHII", 20 + len(body), kind, flags, 1, 0) + header + body


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 16 <= len(datagram):
        length, kind = struct.unpack_from("IH", datagram, offset)
        if length < 16:
            return
        yield kind, datagram[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def _attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(payload):
        length, kind = struct.unpack_from("HH", payload, offset)
        if length < 4:
            return
        yield kind & _TYPE_MASK, payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
