"""The small firewall table inside a container's network namespace that leads 127.0.0.11:53 to its resolver.

The resolver listens on another port, so that the container itself may serve 0.0.0.0:53:

    table ip shoal_dns { chain output { type filter hook output priority raw;
        oif != lo accept
        ip daddr 127.0.0.11 udp dport 53   udp dport set PORT       and the same for tcp
        ip saddr 127.0.0.11 udp sport PORT udp sport set 53 } }

It rewrites ports and tracks no connections, so that everything else that the container sends costs one comparison more,
and its own NAT, if it makes any, finds no other beside it. A container that may change its firewall can take the table
away: then its names are gone, nobody else's.

By raw nfnetlink, because libnftables needs a descriptor below 1024 for each namespace, and half a millisecond.
Blocking; needs CAP_NET_ADMIN over the namespace. Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from shoal.network.firewall.nftables import NftError

RESOLVER_ADDRESS = "127.0.0.11"
TABLE = "shoal_dns"
_CHAIN = "output"
_DNS_PORT = 53

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 10
_REQUEST, _ACK, _EXCLUSIVE, _CREATE, _APPEND = 0x1, 0x4, 0x200, 0x400, 0x800
_NLMSG_ERROR = 2
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE, _DELETE_RULE = (
    _SUBSYSTEM << 8 | kind for kind in (0, 1, 2, 3, 6, 8)
)
_IPV4 = 2
_HOOK_OUTPUT, _PRIORITY_RAW, _ACCEPT = 3, -300, 1
_REGISTER_VERDICT, _REGISTER = 0, 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_META_OUT_INTERFACE, _META_PROTOCOL = 5, 16
_EQUAL, _NOT_EQUAL = 0, 1
_SOURCE, _TARGET = 12, 16  # where the addresses are in an IPv4 header
_SOURCE_PORT, _TARGET_PORT = 0, 2
_CHECKSUM_INET = 1
_CHECKSUM_OFFSETS = {socket.IPPROTO_UDP: 6, socket.IPPROTO_TCP: 16}
_LOOPBACK_INDEX = 1
_NESTED = 0x8000
_RECEIVE_SIZE = 1 << 16
_TIMEOUT_S = 10


def redirect(udp_port: int, tcp_port: int) -> None:
    """Lead 127.0.0.11:53 of this thread's network namespace to these ports of it, in place of what led there before.

    Raises: NftError; OSError when the process is out of descriptors.
    """
    # To take a table away costs the kernel milliseconds (it waits for every processor), and mostly there is none.
    code = _transact(table_messages(udp_port, tcp_port, replace=False))
    if code == errno.EEXIST:
        code = _transact(table_messages(udp_port, tcp_port, replace=True))
    if code:
        raise NftError("the resolver's port cannot be redirected", os.strerror(code))


def redirect_anew(udp_port: int, tcp_port: int) -> socket.socket | None:
    """As `redirect`, where a shoald before this one has led it elsewhere: the table stays, with other rules.

    The socket that was used is for the caller to close, a second later: until the kernel has freed the old rules, some
    30 ms, closing it waits. None where there was no table. Raises: as `redirect`.
    """
    if not is_redirected():
        redirect(udp_port, tcp_port)
        return None
    kernel = _connection()
    if _refused(kernel, rule_messages(udp_port, tcp_port)):
        kernel.close()
        redirect(udp_port, tcp_port)  # the container has changed the table
        return None
    return kernel


def is_redirected() -> bool:
    """Whether the table is in this thread's network namespace. Raises: OSError."""
    body = struct.pack(">BBH", _IPV4, 0, 0) + _text(1, TABLE)
    with _connection() as kernel:
        kernel.send(_message(_GET_TABLE, 0, 1, body))
        return _refusal(kernel.recv(_RECEIVE_SIZE)) == 0


def _connection() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    try:
        kernel.bind((0, 0))
        # The kernel answers before sendmsg returns; the timeout only keeps a lost answer from hanging the worker.
        kernel.settimeout(_TIMEOUT_S)
    except BaseException:
        kernel.close()
        raise
    return kernel


def _transact(bodies: list[bytes]) -> int:
    """The errno with which the kernel refused the messages, all of them; 0 when it did not."""
    with _connection() as kernel:
        return _refused(kernel, bodies)


def _refused(kernel: socket.socket, bodies: list[bytes]) -> int:
    batch = struct.pack(">BBH", 0, 0, _SUBSYSTEM)
    datagram = _message(_BATCH_BEGIN, 0, 0, batch) + b"".join(bodies)
    datagram += _message(_BATCH_END, 0, len(bodies) + 1, batch)
    try:
        kernel.send(datagram)
        return _refusal(kernel.recv(_RECEIVE_SIZE))
    except OSError as error:
        return error.errno or errno.ETIMEDOUT


def table_messages(udp_port: int, tcp_port: int, *, replace: bool) -> list[bytes]:
    """The messages that make the table where there is none, or in place of the one that there is. Pure."""
    table = _text(1, TABLE)
    hook = _attribute(1, _word(_HOOK_OUTPUT)) + _attribute(2, struct.pack(">i", _PRIORITY_RAW))
    chain = (
        table + _text(3, _CHAIN) + _attribute(4 | _NESTED, hook) + _attribute(5, _word(_ACCEPT)) + _text(7, "filter")
    )
    return _numbered(
        [
            *([(_DELETE_TABLE, 0, table)] if replace else []),
            (_NEW_TABLE, _CREATE | _EXCLUSIVE, table),
            (_NEW_CHAIN, _CREATE, chain),
            *_new_rules(udp_port, tcp_port),
        ]
    )


def rule_messages(udp_port: int, tcp_port: int) -> list[bytes]:
    """The messages that give the table that there is these rules, in place of those that it has. Pure."""
    return _numbered([(_DELETE_RULE, 0, _text(1, TABLE) + _text(2, _CHAIN)), *_new_rules(udp_port, tcp_port)])


def _new_rules(udp_port: int, tcp_port: int) -> list[tuple[int, int, bytes]]:
    rules = [_not_loopback()]
    for protocol, port in ((socket.IPPROTO_UDP, udp_port), (socket.IPPROTO_TCP, tcp_port)):
        rules.append(_rewrite(protocol, _TARGET, _TARGET_PORT, _DNS_PORT, port))
        rules.append(_rewrite(protocol, _SOURCE, _SOURCE_PORT, port, _DNS_PORT))
    return [(_NEW_RULE, _CREATE | _APPEND, _rule(expressions)) for expressions in rules]


def _numbered(parts: list[tuple[int, int, bytes]]) -> list[bytes]:
    """Each part, a kind of message with its flags and its body, as a message of one transaction."""
    header = struct.pack(">BBH", _IPV4, 0, 0)
    last = len(parts)
    # Only the last one is acknowledged: a refusal of any is told in any case.
    return [
        _message(kind, flags | (_ACK if number == last else 0), number, header + body)
        for number, (kind, flags, body) in enumerate(parts, 1)
    ]


def _not_loopback() -> bytes:
    verdict = _attribute(2 | _NESTED, _attribute(1, _word(_ACCEPT)))
    return (
        _meta(_META_OUT_INTERFACE)
        + _compare(struct.pack("I", _LOOPBACK_INDEX), _NOT_EQUAL)
        + _expression("immediate", _attribute(1, _word(_REGISTER_VERDICT)) + _attribute(2 | _NESTED, verdict))
    )


def _rewrite(protocol: int, address: int, port: int, old: int, new: int) -> bytes:
    """Gives packets of the protocol another port, where the address is the resolver's and the port is `old`."""
    value = _attribute(1, _word(_REGISTER)) + _attribute(2 | _NESTED, _attribute(1, struct.pack(">H", new)))
    store = (
        _attribute(5, _word(_REGISTER))
        + _attribute(2, _word(_TRANSPORT_HEADER))
        + _attribute(3, _word(port))
        + _attribute(4, _word(2))
        + _attribute(6, _word(_CHECKSUM_INET))
        + _attribute(7, _word(_CHECKSUM_OFFSETS[protocol]))
    )
    return (
        _meta(_META_PROTOCOL)
        + _compare(bytes((protocol,)))
        + _load(_NETWORK_HEADER, address, 4)
        + _compare(socket.inet_aton(RESOLVER_ADDRESS))
        + _load(_TRANSPORT_HEADER, port, 2)
        + _compare(struct.pack(">H", old))
        + _expression("immediate", value)
        + _expression("payload", store)
    )


def _rule(expressions: bytes) -> bytes:
    return _text(1, TABLE) + _text(2, _CHAIN) + _attribute(4 | _NESTED, expressions)


def _meta(key: int) -> bytes:
    return _expression("meta", _attribute(1, _word(_REGISTER)) + _attribute(2, _word(key)))


def _load(base: int, offset: int, length: int) -> bytes:
    parts = (_REGISTER, base, offset, length)
    return _expression("payload", b"".join(_attribute(kind, _word(part)) for kind, part in enumerate(parts, 1)))


def _compare(value: bytes, operation: int = _EQUAL) -> bytes:
    data = _attribute(3 | _NESTED, _attribute(1, value))
    return _expression("cmp", _attribute(1, _word(_REGISTER)) + _attribute(2, _word(operation)) + data)


def _expression(name: str, data: bytes) -> bytes:
    return _attribute(1 | _NESTED, _text(1, name) + _attribute(2 | _NESTED, data))


def _word(value: int) -> bytes:
    return struct.pack(">I", value)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) & 3)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, _REQUEST | flags, sequence, 0) + body


def _refusal(datagram: bytes) -> int:
    """The first errno in the kernel's answers, 0 when there is none."""
    offset = 0
    while offset + 20 <= len(datagram):
        length, kind, _, _, _, code = struct.unpack_from("IHHIIi", datagram, offset)
        if kind == _NLMSG_ERROR and code:
            return -int(code)
        offset += max((length + 3) & ~3, 16)
    return 0
