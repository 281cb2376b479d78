"""shoal.network.ipam6: a daemon's own prefix, and the choice of a subnet in it."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest

from shoal.errors import InvalidArgument, Unavailable
from shoal.network.ipam import Pool
from shoal.network.ipam6 import first_gateway6, parse_subnet6, pick_subnet6, unique_local_pool

POOLS = (("fd00:1:2::/48", 64),)


def test_unique_local_pool_is_a_48_of_its_own() -> None:
    """The same for the same daemon, another one for another, in fd00::/8."""
    pool, size = unique_local_pool("one")
    assert (pool, size) == unique_local_pool("one") != unique_local_pool("two")
    network = IPv6Network(pool)
    assert (network.prefixlen, size) == (48, 64)
    assert network.subnet_of(IPv6Network("fd00::/8"))


def test_pick_subnet6_takes_the_first_that_is_free() -> None:
    """What lies in it, and what it lies in, is passed over; a default route is no claim."""
    taken = [IPv6Network(text) for text in ("::/0", "fd00:1:2::5/128", "fd00:1:2:2::/63")]
    assert pick_subnet6(taken[:1], POOLS) == IPv6Network("fd00:1:2::/64")
    assert pick_subnet6(taken, POOLS) == IPv6Network("fd00:1:2:1::/64")
    assert pick_subnet6([*taken, IPv6Network("fd00:1:2:1::/64")], POOLS) == IPv6Network("fd00:1:2:4::/64")


def test_pick_subnet6_of_a_huge_pool_that_is_claimed_goes_on_at_once() -> None:
    """A pool has more pieces than one can try: what covers many is stepped over."""
    pools = (("fd00::/8", 64), ("fc00::/16", 64))
    assert pick_subnet6([IPv6Network("fd00::/9")], pools) == IPv6Network("fd80::/64")
    assert pick_subnet6([IPv6Network("fd00::/8")], pools) == IPv6Network("fc00::/64")


def test_pick_subnet6_with_everything_taken_says_what_to_do() -> None:
    """Docker's sentence, the pool, and two ways out."""
    with pytest.raises(Unavailable, match="non-overlapping IPv6 address pool") as caught:
        pick_subnet6([IPv6Network("fd00:1::/32")], POOLS)
    assert "fd00:1:2::/48" in caught.value.why
    assert "--subnet" in caught.value.fix
    assert "--default-address-pool" in caught.value.fix


@pytest.mark.parametrize("text", ["fd00::", "fd00::/129", "fd00::/x", "10.0.0.0/24", "fd00::g/64", "fd00::/127"])
def test_parse_subnet6_unusable_is_refused(text: str) -> None:
    """None, one of the other family, one without room."""
    with pytest.raises(InvalidArgument):
        parse_subnet6(text)


def test_pool_of_ipv6_gives_all_but_the_first_and_the_gateway() -> None:
    """There is no broadcast address; exhaustion says so for IPv6."""
    subnet = IPv6Network("fd00::/126")
    pool = Pool(subnet, first_gateway6(subnet).ip)
    assert [pool.allocate(), pool.allocate()] == ["fd00::2", "fd00::3"]
    with pytest.raises(Unavailable, match="no available IPv6 addresses") as caught:
        pool.allocate()
    assert "all 2 container addresses of fd00::/126" in caught.value.why
    pool.release("fd00:0::3")
    assert pool.reserve("FD00::3") == "fd00::3"


def test_pool_of_ipv6_keeps_its_range_and_what_is_reserved() -> None:
    """An --ip-range bounds what is handed out, auxiliary addresses are not."""
    subnet = IPv6Network("fd00::/64")
    pool = Pool(subnet, IPv6Address("fd00::1"), within="fd00::100/120", reserved=["fd00::101"])
    assert [pool.allocate(), pool.allocate()] == ["fd00::100", "fd00::102"]
    with pytest.raises(InvalidArgument, match="invalid IPv6 address"):
        pool.reserve("10.0.0.1")
