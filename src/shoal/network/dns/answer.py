"""Writing the answers that shoal itself gives. Pure, and quick."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address

from shoal.network.dns.question import (
    AAAA,
    ANY,
    BADVERS,
    DNSSEC_OK,
    HEADER_SIZE,
    IN,
    NOERROR,
    OPT,
    PTR,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    RESPONSE,
    TRUNCATED,
    A,
    Question,
)

# Short, because a container that is started anew may have another address; a client that keeps names asks again.
TTL_S = 5
# What shoal takes itself in a datagram, told with EDNS.
OWN_PAYLOAD = 4096
_OPT_SIZE = 11
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHHIH")
_TO_QUESTION = 0xC00C  # a pointer to the name behind the header
_LONGEST_ANSWER = 65535


def answer_addresses(question: Question, addresses: Sequence[str], limit: int) -> bytes:
    """The answer with those of the addresses that are of the question's type, in this order.

    `limit` is the greatest size of the message: what does not fit is left out, and the answer says so.
    """
    records = b""
    count = 0
    room = _room(question, limit)
    truncated = False
    for address in addresses:
        type = AAAA if ":" in address else A
        if question.type not in (type, ANY):
            continue
        data = ip_address(address).packed
        if len(records) + _RECORD.size + len(data) > room:
            truncated = True
            break
        records += _RECORD.pack(_TO_QUESTION, type, IN, TTL_S, len(data)) + data
        count += 1
    return _message(question, NOERROR, records, count, truncated=truncated)


def answer_name(question: Question, name: str) -> bytes:
    """The answer with the name of an address."""
    data = b"".join(bytes((len(label),)) + label for label in name.encode("latin-1", "replace").split(b".")) + b"\0"
    records = _RECORD.pack(_TO_QUESTION, PTR, IN, TTL_S, len(data)) + data
    return _message(question, NOERROR, records, 1)


def answer_empty(question: Question, code: int = NOERROR) -> bytes:
    """The answer without a record: nothing of this type, or a failure."""
    return _message(question, code, b"", 0)


def answer_malformed(query: bytes, code: int) -> bytes:
    """The answer to what cannot be read beyond its header."""
    id, flags = struct.unpack_from(">HH", query)
    return _HEADER.pack(id, RESPONSE | flags & 0x7900 | code, 0, 0, 0, 0)


def answer_truncated(question: Question) -> bytes:
    """The answer that makes the client ask again by TCP."""
    return _message(question, NOERROR, b"", 0, truncated=True)


def _room(question: Question, limit: int) -> int:
    """The bytes that there are for records."""
    return limit - HEADER_SIZE - len(question.wire) - (_OPT_SIZE if question.edns else 0)


def _message(question: Question, code: int, records: bytes, count: int, *, truncated: bool = False) -> bytes:
    flags = RESPONSE | RECURSION_AVAILABLE | question.flags & RECURSION_DESIRED | code & 0xF
    if truncated:
        flags |= TRUNCATED
    message = _HEADER.pack(question.id, flags, 1, count, 0, 1 if question.edns else 0) + question.wire + records
    if question.edns:
        edns = DNSSEC_OK if question.dnssec else 0
        message += b"\0" + struct.pack(">HHBBHH", OPT, OWN_PAYLOAD, code >> 4, 0, edns, 0)
    return message


def answer_version(question: Question) -> bytes:
    """The answer to a version of EDNS that is not known (RFC 6891 §6.1.3)."""
    return _message(question, BADVERS, b"", 0)


def longest_answer(question: Question, *, stream: bool) -> int:
    """The greatest message that the client takes."""
    return _LONGEST_ANSWER if stream else min(question.payload, OWN_PAYLOAD)
