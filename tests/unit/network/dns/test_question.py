"""Queries, read as dnspython writes them, and refused where it would refuse them."""

from __future__ import annotations

import struct

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.network.dns.question import (
    FORMERR,
    NOTIMP,
    A,
    Malformed,
    Question,
    read_question,
    reversed_address,
)

LABELS = st.lists(st.binary(min_size=1, max_size=63), min_size=0, max_size=5)


def refused(query: bytes) -> int | None:
    """What the query is answered with."""
    with pytest.raises(Malformed) as caught:
        read_question(query)
    return caught.value.code


def test_read_question_of_a_plain_query() -> None:
    """The name in small letters, and the section as it was sent."""
    query = dns.message.make_query("WeB.Example.", "A", id=258).to_wire()
    wire = b"\3WeB\7Example\0\0\1\0\1"
    assert read_question(query) == Question(258, 0x100, "web.example", A, 1, wire)


def test_read_question_with_edns() -> None:
    """The size that fits, the wish for signatures; options are passed over; a size below the least is the least."""
    query = dns.message.make_query("web", "AAAA", use_edns=0, payload=1232, want_dnssec=True)
    question = read_question(query.to_wire())
    assert (question.edns, question.payload, question.dnssec, question.version) == (True, 1232, True, 0)
    query.use_edns(0, payload=100, options=[dns.edns.GenericOption(10, b"12345678")])
    assert read_question(query.to_wire()).payload == 512


@given(labels=LABELS, type=st.integers(0, 65535), kind=st.integers(0, 65535))
def test_read_question_reads_every_name_that_there_is(labels: list[bytes], type: int, kind: int) -> None:
    """As dnspython does; a dot within a label is not one between two."""
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0" + struct.pack(">HH", type, kind)
    query = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + wire
    if len(wire) - 4 > 255:
        assert refused(query) == FORMERR
        return
    question = read_question(query)
    assert (question.wire, question.type, question.kind) == (wire, type, kind)
    expected = b".".join(label.replace(b".", b"\\.") for label in labels).decode("latin-1").lower()
    assert question.name == expected
    dns.name.from_wire(query, 12)


@given(st.binary(max_size=100))
def test_read_question_of_junk_is_malformed_or_a_query(junk: bytes) -> None:
    """Nothing else is raised, and what is read, dnspython reads too."""
    for query in (junk, struct.pack(">HHHHHH", 1, 0, 1, 0, 0, len(junk) % 2) + junk):
        try:
            question = read_question(query)
        except Malformed:
            continue
        name, used = dns.name.from_wire(query, 12)
        assert len(question.wire) == used + 4
        assert len(name.labels) >= 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"", None),
        (bytes(11), None),
        (b"\0\1\x80\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1", None),
        (b"\0\1\x28\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1", NOTIMP),
        (bytes(12), FORMERR),
        (b"\0\1\0\0\0\2" + bytes(6) + b"\1a\0\0\1\0\1" * 2, FORMERR),
        (b"\0\1\0\0\0\1\0\1" + bytes(4) + b"\1a\0\0\1\0\1", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(6) + b"\1a\xc0\x0c\0\1\0\1", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(6) + b"\x3fa\0\0\1\0\1", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(6) + b"\1a\0\0\1\0", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1more", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(5) + b"\1\1a\0\0\1\0\1" + b"\0\0\x29\4\xd0\0\0\0\0\xff\xff", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(5) + b"\1\1a\0\0\1\0\1" + b"\1\0\x29\4\xd0\0\0\0\0\0\0\0", FORMERR),
        (b"\0\1\0\0\0\1" + bytes(5) + b"\1\1a\0\0\1\0\1" + b"\0\0\x29", FORMERR),
    ],
)
def test_read_question_of_what_is_none(query: bytes, code: int | None) -> None:
    """Answers and fragments get silence, the rest a code: counts, pointers, lengths, what stands behind the end."""
    assert refused(query) == code


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("2.0.18.172.in-addr.arpa", "172.18.0.2"),
        (("2." + "0." * 27 + "0.0.d.f.ip6.arpa"), "fd00::2"),
        ("18.172.in-addr.arpa", None),
        ("a.0.18.172.in-addr.arpa", None),
        ("1.2.ip6.arpa", None),
        ("g." * 32 + "ip6.arpa", None),
        ("web", None),
        ("in-addr.arpa", None),
    ],
)
def test_reversed_address(name: str, address: str | None) -> None:
    """Whole addresses of both families only."""
    assert reversed_address(name) == address
