"""Reading the answers of foreign name servers, for as long as they may be kept. The only importer of dnspython.

It takes 50 ms to load, and is needed only once a container asks for a name of the world outside: see `cache.py`.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.SOA

# A changed answer is to be seen soon: a cache is here for the bursts of one program.
LONGEST_S = 30
LONGEST_NEGATIVE_S = 10


def addresses_in(answer: bytes) -> tuple[str, ...]:
    """The addresses that a message tells; none where it is not well-formed."""
    try:
        message = dns.message.from_wire(answer, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return ()
    wanted = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return tuple(str(record) for rrset in message.answer if rrset.rdtype in wanted for record in rrset)


class KeptAnswer:
    """An answer that can be given again, as long as `lifetime_s`."""

    __slots__ = ("_message", "lifetime_s")

    def __init__(self, message: dns.message.Message, lifetime_s: int) -> None:
        self._message = message
        self.lifetime_s = lifetime_s

    def render(self, id: int, age_s: int) -> bytes:
        """The message for a query of this id, `age_s` after it came: that much less may others keep it."""
        message = self._message
        message.id = id
        lifetimes = [(rrset, rrset.ttl) for section in message.sections[1:] for rrset in section]
        for rrset, ttl in lifetimes:
            rrset.ttl = max(ttl - age_s, 0)
        try:
            return message.to_wire()
        finally:
            for rrset, ttl in lifetimes:
                rrset.ttl = ttl


def keepable(answer: bytes) -> KeptAnswer | None:
    """The answer to be kept; None where it must not be, or is not well-formed. RFC 2308 for names that are not."""
    try:
        message = dns.message.from_wire(answer, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    if message.flags & dns.flags.TC:
        return None
    lifetime_s = _lifetime_s(message)
    return KeptAnswer(message, lifetime_s) if lifetime_s > 0 else None


def _lifetime_s(message: dns.message.Message) -> int:
    if message.rcode() == dns.rcode.NOERROR and message.answer:
        lifetimes = [rrset.ttl for section in message.sections[1:] for rrset in section]
        return min(LONGEST_S, *lifetimes)
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return 0
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            minimum = min(
                (record.minimum for record in rrset if isinstance(record, dns.rdtypes.ANY.SOA.SOA)), default=0
            )
            return int(min(LONGEST_NEGATIVE_S, rrset.ttl, minimum))
    return 0
