"""The answers that shoal gives itself, read by dnspython."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.rcode
import pytest

from shoal.network.dns.answer import answer_malformed
from shoal.network.dns.names import Upstream
from shoal.network.dns.question import FORMERR, read_question
from shoal.network.dns.responder import local_answer


class Book:
    """Two containers' names."""

    def lookup(self, container_id: str, name: str) -> Sequence[str] | None:
        """As Names.lookup."""
        names = {"web": ["172.18.0.2", "fd00::2"], "none": [], "three": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}
        return names.get(name) if container_id == "one" else None

    def reverse(self, container_id: str, address: str) -> str | None:
        """As Names.reverse."""
        return {"172.18.0.2": "web.net", "fd00::2": "web.net"}.get(address) if container_id == "one" else None

    def upstreams(self, container_id: str) -> Sequence[Upstream]:
        """As Names.upstreams."""
        raise AssertionError(container_id)


def ask(
    name: str, type: str, *, of: str = "one", stream: bool = False, **options: object
) -> dns.message.Message | None:
    """The answer to a query made by dnspython, checked to be one."""
    query = dns.message.make_query(name, type, **options)  # type: ignore[arg-type]
    answer = local_answer(of, Book(), read_question(query.to_wire()), stream=stream)
    if answer is None:
        return None
    message = dns.message.from_wire(answer)
    assert query.is_response(message)
    assert message.flags & dns.flags.RA
    return message


@pytest.mark.parametrize(
    ("name", "type", "records"),
    [
        ("web", "A", ["172.18.0.2"]),
        ("WEB", "AAAA", ["fd00::2"]),
        ("web", "ANY", ["172.18.0.2", "fd00::2"]),
        ("web", "MX", []),
        ("none", "A", []),
        ("2.0.18.172.in-addr.arpa", "PTR", ["web.net."]),
        ("three", "AAAA", []),
    ],
)
def test_local_answer_of_known_names(name: str, type: str, records: list[str]) -> None:
    """Records of the asked type; of the others there is nothing, and no name is said to be missing."""
    for edns in (False, 0):
        answer = ask(name, type, use_edns=edns)
        assert answer is not None
        assert answer.rcode() == dns.rcode.NOERROR
        assert sorted(str(record) for rrset in answer.answer for record in rrset) == records
        assert answer.edns == (0 if edns == 0 and edns is not False else -1)


@pytest.mark.parametrize(
    ("name", "type", "of"),
    [("web", "A", "two"), ("other", "A", "one"), ("3.0.18.172.in-addr.arpa", "PTR", "one"), (".", "NS", "one")],
)
def test_local_answer_of_others_names_is_none(name: str, type: str, of: str) -> None:
    """They are the upstreams' to answer: unknown ones, and those that this container does not share a network with."""
    assert ask(name, type, of=of) is None
    assert ask("web", "A", rdclass="CH") is None


def test_local_answer_puts_each_address_first_equally_often() -> None:
    """Whoever takes the first one spreads its load."""
    first: Counter[str] = Counter()
    for _ in range(300):
        answer = ask("three", "A")
        assert answer is not None
        records = [str(record) for rrset in answer.answer for record in rrset]
        assert len(records) == 3
        first[records[0]] += 1
    assert min(first.values()) > 50


def test_local_answer_to_an_unknown_version_of_edns() -> None:
    """BADVERS, with the version that is known."""
    query = dns.message.make_query("web", "A", use_edns=3)
    answer = local_answer("one", Book(), read_question(query.to_wire()), stream=False)
    assert answer is not None
    message = dns.message.from_wire(answer)
    assert (message.rcode(), message.edns) == (dns.rcode.BADVERS, 0)


def test_answer_malformed_repeats_id_and_wish_for_recursion() -> None:
    """And nothing else of what was sent."""
    message = dns.message.from_wire(answer_malformed(b"\1\2\1\0" + b"\xff" * 20, FORMERR))
    assert (message.id, message.rcode(), message.flags & dns.flags.RD) == (258, dns.rcode.FORMERR, dns.flags.RD)
    assert message.flags & dns.flags.QR
