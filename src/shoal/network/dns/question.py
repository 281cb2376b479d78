"""Reading a query as resolvers in containers send it: one question, perhaps EDNS. Pure, and quick.

Every byte comes from a container that may be hostile: whatever does not read to the end as RFC 1035 and RFC 6891 say
is `Malformed`. dnspython reads what comes from elsewhere (`wire.py`); it would take most of the time of an answer.
"""

from __future__ import annotations

import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

# Types and classes of RFC 1035 and RFC 3596.
A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
IN = 1
# Response codes.
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
# Bits of the header's second word.
RESPONSE, OPCODE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
DNSSEC_OK = 0x8000

HEADER_SIZE = 12
PLAIN_SIZE = 512  # of a datagram without EDNS
_MOST_NAME = 255
_MOST_LABEL = 63
_HEADER = struct.Struct(">HHHHHH")
_TYPE_CLASS = struct.Struct(">HH")
_OPT = struct.Struct(">xHHBBHH")  # root, type, payload size, response code, version, flags, length
_IPV4_TREE, _IPV6_TREE = ".in-addr.arpa", ".ip6.arpa"


class Malformed(Exception):
    """What was sent is no query; `code` is what it is answered with, None: with silence."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Question(NamedTuple):
    """A query. `wire` is its question section as it was sent, which the answer repeats.

    `payload` is the greatest datagram that the sender takes, `edns` whether it said so; `version` is EDNS's.
    """

    id: int
    flags: int
    name: str
    type: int
    kind: int
    wire: bytes
    edns: bool = False
    payload: int = PLAIN_SIZE
    dnssec: bool = False
    version: int = 0


def read_question(query: bytes) -> Question:
    """The question of a message, its name in small letters and without the last dot.

    Raises: Malformed.
    """
    if len(query) < HEADER_SIZE:
        raise Malformed(None)
    id, flags, questions, answers, authorities, additional = _HEADER.unpack_from(query)
    if flags & RESPONSE:
        raise Malformed(None)  # to answer an answer could go on for ever
    if flags & OPCODE:
        raise Malformed(NOTIMP)
    if questions != 1 or answers or authorities or additional > 1:
        raise Malformed(FORMERR)
    name, end = _read_name(query)
    if len(query) < end + 4:
        raise Malformed(FORMERR)
    type, kind = _TYPE_CLASS.unpack_from(query, end)
    end += 4
    wire = query[HEADER_SIZE:end]
    if not additional:
        if end != len(query):
            raise Malformed(FORMERR)
        return Question(id, flags, name, type, kind, wire)
    payload, version, dnssec = _read_opt(query, end)
    return Question(id, flags, name, type, kind, wire, True, payload, dnssec, version)


def _read_name(query: bytes) -> tuple[str, int]:
    """The first name of a message, and where it ends. Nothing stands before it that a pointer could lead to."""
    labels = []
    offset = HEADER_SIZE
    size = len(query)
    while True:
        if offset >= size:
            raise Malformed(FORMERR)
        length = query[offset]
        offset += 1
        if not length:
            break
        end = offset + length
        if length > _MOST_LABEL or end >= size or end - HEADER_SIZE >= _MOST_NAME:
            raise Malformed(FORMERR)
        labels.append(query[offset:end])
        offset = end
    name = b".".join(labels)
    if name.count(b".") >= len(labels) and labels:
        # A dot inside a label must not pass for the dot between two.
        name = b".".join(label.replace(b".", b"\\.") for label in labels)
    return name.decode("latin-1").lower(), offset


def _read_opt(query: bytes, offset: int) -> tuple[int, int, bool]:
    """The payload size, EDNS's version and whether signatures are wanted."""
    if len(query) < offset + _OPT.size or query[offset]:
        raise Malformed(FORMERR)
    type, payload, _, version, flags, length = _OPT.unpack_from(query, offset)
    if type != OPT or offset + _OPT.size + length != len(query):
        raise Malformed(FORMERR)
    return max(payload, PLAIN_SIZE), version, bool(flags & DNSSEC_OK)


def reversed_address(name: str) -> str | None:
    """The address that a name under in-addr.arpa or ip6.arpa stands for; None for any other name."""
    try:
        if name.endswith(_IPV4_TREE):
            return str(IPv4Address(".".join(reversed(name.removesuffix(_IPV4_TREE).split(".")))))
        if name.endswith(_IPV6_TREE):
            digits = name.removesuffix(_IPV6_TREE).split(".")
            if len(digits) == 32 and all(len(digit) == 1 for digit in digits):
                return str(IPv6Address(int("".join(reversed(digits)), 16)))
    except (AddressValueError, ValueError):
        pass
    return None
