"""shoal.network.ipam: the choice of a subnet, and addresses handed out from it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Forbidden, InvalidArgument, Unavailable
from shoal.network.endpoint import default_mac
from shoal.network.ipam import Pool, candidate_subnets, parse_bip, parse_mac, pick_pool


def pool(subnet: str = "10.0.0.0/29") -> Pool:
    """A pool whose gateway is its first address."""
    network = IPv4Network(subnet)
    return Pool(network, network.network_address + 1)


def test_pick_pool_on_an_empty_host_is_dockers_first() -> None:
    """Nothing taken: 172.17.0.0/16."""
    assert pick_pool([]) == IPv4Network("172.17.0.0/16")


@pytest.mark.parametrize("taken", ["172.17.0.0/16", "172.17.3.0/24", "172.16.0.0/15", "172.17.0.53/32"])
def test_pick_pool_overlap_in_any_direction_is_avoided(taken: str) -> None:
    """A route inside, around or at the candidate moves the choice on."""
    assert pick_pool([IPv4Network(taken)]) == IPv4Network("172.18.0.0/16")


def test_pick_pool_a_default_route_claims_nothing() -> None:
    """0.0.0.0/0 overlaps with everything and is no reason to avoid anything."""
    assert pick_pool([IPv4Network("0.0.0.0/0")]) == IPv4Network("172.17.0.0/16")


def test_pick_pool_after_the_large_ones_takes_a_small_one() -> None:
    """With 172.16/12 routed elsewhere the first /20 of 192.168 is chosen."""
    taken = [IPv4Network("172.16.0.0/12"), IPv4Network("192.168.1.0/24")]
    assert pick_pool(taken) == IPv4Network("192.168.16.0/20")


def test_pick_pool_with_everything_taken_says_what_to_do() -> None:
    """The sentence names `--bip`."""
    with pytest.raises(Unavailable) as caught:
        pick_pool([IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")])
    assert "--bip" in caught.value.fix


def test_candidate_subnets_are_thirty_one() -> None:
    """Fifteen /16 and sixteen /20, as with Docker."""
    assert len(list(candidate_subnets())) == 31


def test_parse_bip_keeps_address_and_prefix() -> None:
    """The bridge's address is the one given, not the subnet's first."""
    bip = parse_bip("192.168.5.7/24")
    assert (str(bip.ip), str(bip.network)) == ("192.168.5.7", "192.168.5.0/24")


@pytest.mark.parametrize(
    "text",
    ["", "192.168.5.1", "192.168.5.0/24", "192.168.5.255/24", "10.0.0.1/31", "10.0.0.1/33", "x/24", "fd00::1/64"],
)
def test_parse_bip_unusable_is_refused_with_a_fix(text: str) -> None:
    """Every refusal names the value and says what to give instead."""
    with pytest.raises(InvalidArgument) as caught:
        parse_bip(text)
    assert caught.value.what == f'invalid --bip "{text}"'
    assert caught.value.fix


def test_default_mac_is_made_of_the_address() -> None:
    """Docker's 02:42 and the four bytes."""
    assert default_mac("172.17.0.2") == "02:42:ac:11:00:02"


def test_parse_mac_is_normalised() -> None:
    """Either separator, lower case."""
    assert parse_mac("02-42-AC-11-00-02") == parse_mac("02:42:ac:11:00:02") == "02:42:ac:11:00:02"


@pytest.mark.parametrize("text", ["", "x", "02:42:ac:11:00", "02:42:ac:11:00:0g", "01:00:5e:00:00:01", "0:0:0:0:0:0"])
def test_parse_mac_unusable_is_refused(text: str) -> None:
    """Malformed, multicast or zero."""
    with pytest.raises(InvalidArgument, match="invalid MAC address"):
        parse_mac(text)


def test_pool_allocate_gives_the_lowest_free_address() -> None:
    """An address given back is given out again before a higher one."""
    addresses = pool()
    assert [addresses.allocate() for _ in range(3)] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    addresses.release("10.0.0.3")
    addresses.release("10.0.0.2")
    assert [addresses.allocate() for _ in range(3)] == ["10.0.0.2", "10.0.0.3", "10.0.0.5"]


def test_pool_exhausted_says_what_to_do() -> None:
    """Docker's sentence, the number of addresses, and the way out."""
    addresses = pool()
    for _ in range(5):
        addresses.allocate()
    with pytest.raises(Unavailable) as caught:
        addresses.allocate()
    assert caught.value.what == "no available IPv4 addresses on this network's address pools"
    assert "all 5 container addresses of 10.0.0.0/29" in caught.value.why
    assert "--bip" in caught.value.fix
    addresses.release("10.0.0.4")
    assert addresses.allocate() == "10.0.0.4"


def test_pool_gateway_in_the_middle_is_never_given() -> None:
    """A bip anywhere in the subnet is skipped."""
    addresses = Pool(IPv4Network("10.0.0.0/29"), IPv4Address("10.0.0.3"))
    assert [addresses.allocate() for _ in range(3)] == ["10.0.0.1", "10.0.0.2", "10.0.0.4"]
    addresses.release("10.0.0.3")
    assert addresses.allocate() == "10.0.0.5"


def test_pool_reserve_of_a_held_address_is_forbidden() -> None:
    """Docker's sentence for an address in use, the gateway's too."""
    addresses = pool()
    addresses.reserve("10.0.0.4")
    for held in ("10.0.0.4", "10.0.0.1"):
        with pytest.raises(Forbidden) as caught:
            addresses.reserve(held)
        assert caught.value.what == "Address already in use"


@pytest.mark.parametrize("ip", ["10.0.1.2", "10.0.0.0", "10.0.0.7", "nonsense", "::1"])
def test_pool_reserve_of_an_impossible_address_is_refused(ip: str) -> None:
    """Foreign, network and broadcast addresses, and no addresses."""
    with pytest.raises(InvalidArgument):
        pool().reserve(ip)


@given(st.lists(st.tuples(st.sampled_from(["allocate", "reserve", "release"]), st.integers(1, 13)), max_size=60))
def test_pool_any_sequence_never_holds_an_address_twice(steps: list[tuple[str, int]]) -> None:
    """Against a plain set as the model: the lowest free address each time, never one that is held."""
    addresses = pool("10.0.0.0/28")
    held = {1}
    for step, number in steps:
        ip = f"10.0.0.{number}"
        if step == "allocate":
            free = set(range(1, 15)) - held
            if not free:
                with pytest.raises(Unavailable):
                    addresses.allocate()
                continue
            assert addresses.allocate() == f"10.0.0.{min(free)}"
            held.add(min(free))
        elif step == "reserve":
            if number in held:
                with pytest.raises(Forbidden):
                    addresses.reserve(ip)
            else:
                assert addresses.reserve(ip) == ip
                held.add(number)
        else:
            addresses.release(ip)
            if number != 1:
                held.discard(number)
