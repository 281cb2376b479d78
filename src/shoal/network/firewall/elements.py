"""Elements of the table's maps by raw nfnetlink: what happens at every start of a container that publishes ports.

Why not by libnftables, which builds the table: for each command it first reads all tables, chains and sets of the
host, ours or not. Here it is one message, whatever others have: 0.05 ms against 0.5 ms beside four small tables.
Blocking, for one thread; needs CAP_NET_ADMIN. Source: linux/netfilter/nf_tables.h.

    BATCH_BEGIN │ NEWSETELEM or DELSETELEM, one a map │ BATCH_END        one sendmsg, one transaction
                ◀─ NLMSG_ERROR for each (0 = acknowledged)
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable

from shoal.network.firewall.nftables import NftError
from shoal.network.firewall.ruleset import PUBLISHED6_AT, PUBLISHED_AT, Publication, map_of

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 10
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE = 0x1, 0x4, 0x400
_NLMSG_ERROR = 2
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_ELEMENT, _DELETE_ELEMENT = (_SUBSYSTEM << 8) | 12, (_SUBSYSTEM << 8) | 14
_NFPROTO_INET = 1
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_…
_LIST_ELEMENT, _ELEMENT_KEY, _ELEMENT_DATA, _DATA_VALUE = 1, 1, 2, 1
_NESTED = 0x8000
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_RECEIVE_SIZE = 1 << 16
_TIMEOUT_S = 10


class MapElements:
    """A connection that adds and removes the elements of one table's maps."""

    def __init__(self, table: str) -> None:
        """Raises: OSError when the process is out of descriptors."""
        self._table = table
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        # The kernel answers before sendmsg returns; the timeout only keeps a lost answer from hanging the worker.
        self._socket.settimeout(_TIMEOUT_S)

    def add(self, publications: Iterable[Publication]) -> None:
        """Publish ports, all or none. Raises: NftError (the table is gone; a key leads elsewhere already)."""
        self._transact(_NEW_ELEMENT, _NLM_F_CREATE, publications)

    def remove(self, publications: Iterable[Publication]) -> None:
        """End publications, all or none. Raises: NftError (the table, or one of them, is gone)."""
        self._transact(_DELETE_ELEMENT, 0, publications)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _transact(self, kind: int, flags: int, publications: Iterable[Publication]) -> None:
        by_map: dict[str, list[Publication]] = {}
        for publication in publications:
            by_map.setdefault(map_of(publication), []).append(publication)
        bodies = [
            pack_elements(self._table, name, entries, with_data=kind == _NEW_ELEMENT)
            for name, entries in by_map.items()
        ]
        if not bodies:
            return
        first = self._sequence + 1
        datagram = _message(_BATCH_BEGIN, _NLM_F_REQUEST, first, struct.pack(">BBH", 0, 0, _SUBSYSTEM))
        for number, body in enumerate(bodies):
            header = struct.pack(">BBH", _NFPROTO_INET, 0, 0)
            acknowledged = _NLM_F_REQUEST | _NLM_F_ACK | flags
            datagram += _message(kind, acknowledged, first + 1 + number, header + body)
        self._sequence = first + len(bodies) + 1
        datagram += _message(_BATCH_END, _NLM_F_REQUEST, self._sequence, struct.pack(">BBH", 0, 0, _SUBSYSTEM))
        try:
            self._socket.send(datagram)
            self._await_answers(set(range(first + 1, first + 1 + len(bodies))))
        except OSError as error:
            raise NftError("the firewall refused a change", os.strerror(error.errno or errno.ETIMEDOUT)) from None

    def _await_answers(self, pending: set[int]) -> None:
        """Take one answer for each message. Raises: OSError with the kernel's first errno."""
        failure = 0
        asked = frozenset(pending)
        oldest = min(asked) - 1  # answers to an earlier call that gave up are passed over
        while pending:
            datagram = self._socket.recv(_RECEIVE_SIZE)
            offset = 0
            while offset + 20 <= len(datagram):
                length, kind, _, sequence, _, code = struct.unpack_from("IHHIIi", datagram, offset)
                if kind == _NLMSG_ERROR and sequence >= oldest:
                    failure = failure or -code
                    pending.discard(sequence)
                    if sequence not in asked:
                        pending.clear()  # the batch as a whole was refused: no other answer comes
                offset += max((length + 3) & ~3, 16)
        if failure:
            raise OSError(failure, os.strerror(failure))


def pack_elements(table: str, name: str, publications: Iterable[Publication], *, with_data: bool) -> bytes:
    """The attributes of a message about these elements of the map `name`."""
    elements = b""
    for publication in publications:
        element = _attribute(_ELEMENT_KEY | _NESTED, _attribute(_DATA_VALUE, _key(publication)))
        if with_data:
            element += _attribute(_ELEMENT_DATA | _NESTED, _attribute(_DATA_VALUE, _target(publication)))
        elements += _attribute(_LIST_ELEMENT | _NESTED, element)
    return (
        _attribute(_LIST_TABLE, table.encode() + b"\0")
        + _attribute(_LIST_SET, name.encode() + b"\0")
        + _attribute(_LIST_ELEMENTS | _NESTED, elements)
    )


def _key(publication: Publication) -> bytes:
    """The parts of a concatenation, each padded to four bytes, in network order."""
    port = publication.port
    key = struct.pack(">B3x", _PROTOCOLS[port.protocol])
    if map_of(publication) in (PUBLISHED_AT, PUBLISHED6_AT):
        key += _address(port.host_ip)
    return key + struct.pack(">H2x", port.host_port)


def _target(publication: Publication) -> bytes:
    return _address(publication.container_ip) + struct.pack(">H2x", publication.port.container_port)


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) & 3)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, flags, sequence, 0) + body
