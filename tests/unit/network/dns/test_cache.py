"""Foreign answers, kept for as long as they say, within bounds."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from shoal.network.dns.cache import AnswerCache
from shoal.network.dns.wire import LONGEST_NEGATIVE_S, LONGEST_S


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def query_of(name: str = "www.example.org", id: int = 1) -> bytes:
    """A query."""
    return dns.message.make_query(name, "A", id=id).to_wire()


def answered(query: bytes, ttl: int, *, code: int = 0, soa: str = "", flags: int = 0) -> bytes:
    """An answer with an address, or with the code, and the authority's word on how long that may be kept."""
    message = dns.message.make_response(dns.message.from_wire(query))
    message.set_rcode(dns.rcode.Rcode(code))
    message.flags |= flags
    if soa:
        message.authority.append(dns.rrset.from_text("example.org.", ttl, "IN", "SOA", soa))
    elif not code:
        message.answer.append(dns.rrset.from_text("www.example.org.", ttl, "IN", "A", "192.0.2.80"))
    return message.to_wire()


@pytest.mark.parametrize(
    ("ttl", "code", "soa", "lifetime_s"),
    [
        (5, 0, "", 5),
        (86400, 0, "", LONGEST_S),
        (5, 3, "ns. a. 1 2 3 4 86400", 5),
        (86400, 3, "ns. a. 1 2 3 4 7", 7),
        (86400, 3, "ns. a. 1 2 3 4 86400", LONGEST_NEGATIVE_S),
        (86400, 0, "ns. a. 1 2 3 4 3", 3),
        (86400, 3, "", 0),
        (0, 0, "", 0),
        (86400, 2, "ns. a. 1 2 3 4 86400", 0),
    ],
)
def test_cache_keeps_as_long_as_the_answer_says(ttl: int, code: int, soa: str, lifetime_s: int) -> None:
    """Addresses, missing names, missing types; never what says nothing of it, never for long."""
    clock = Clock()
    cache = AnswerCache(clock)
    cache.put(query_of(), answered(query_of(), ttl, code=code, soa=soa))
    if lifetime_s:
        clock.now_s += lifetime_s - 1
        found = cache.get(query_of(id=7), 7)
        assert found is not None
        message = dns.message.from_wire(found)
        assert (message.id, message.rcode()) == (7, code)
        assert [rrset.ttl for section in message.sections[1:] for rrset in section] == [ttl - lifetime_s + 1]
        assert cache.get(query_of("other.example.org"), 1) is None
        clock.now_s += 1
    assert cache.get(query_of(), 1) is None


@pytest.mark.parametrize("junk", [b"", bytes(12), b"\xff" * 40, bytes(5000)])
def test_cache_does_not_keep_what_is_broken(junk: bytes) -> None:
    """Nor what is cut, nor what is long."""
    cache = AnswerCache(Clock())
    cache.put(query_of(), junk)
    cache.put(query_of(), answered(query_of(), 60, flags=dns.flags.TC))
    cache.put(query_of(), answered(query_of(), 60)[:-1])
    assert cache.get(query_of(), 1) is None


def test_cache_keeps_failures_for_a_second() -> None:
    """With the id of whoever asks."""
    clock = Clock()
    cache = AnswerCache(clock)
    cache.put_failure(query_of(), answered(query_of(), 0, code=2))
    found = cache.get(query_of(id=9), 9)
    assert found is not None
    assert dns.message.from_wire(found).id == 9
    clock.now_s += 1
    assert cache.get(query_of(), 1) is None


def test_cache_is_bounded() -> None:
    """The oldest goes."""
    cache = AnswerCache(Clock())
    for number in range(300):
        query = query_of(f"x{number}.example.org")
        cache.put(query, answered(query, 60))
        cache.put_failure(query, query)
    assert cache.get(query_of("x0.example.org"), 1) is None
    assert cache.get(query_of("x299.example.org"), 1) is not None
    assert len(cache._kept) == len(cache._failed) == 256
