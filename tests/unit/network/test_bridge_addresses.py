"""shoal.network.bridge_addresses: both addresses of a container or none, and what a bridge gets."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

import pytest

from shoal.errors import Forbidden, InvalidArgument
from shoal.network.bridge_addresses import AddressPools, BridgeAddresses, choose_address
from shoal.network.bridge_config import BridgeConfig, Ipv6Config
from shoal.network.endpoint import Endpoint, PublishedPort

BOTH = BridgeAddresses(IPv4Interface("10.0.0.1/29"), IPv6Interface("fd00::1/64"))
ENDPOINT = Endpoint("net", "n", "c", "e", "10.0.0.4", 29, "10.0.0.1", ip6="fd00::4", prefix6=64, gateway6="fd00::1")


def pools(*, ipv6: bool = True) -> AddressPools:
    """Those of a network."""
    config = BridgeConfig("br0", "t", ipv6=Ipv6Config() if ipv6 else None)
    return AddressPools(config, BOTH if ipv6 else BridgeAddresses(BOTH.ipv4))


def test_take_gives_the_lowest_of_each_family_or_what_was_asked() -> None:
    """Without IPv6 there is one address."""
    addresses = pools()
    assert addresses.take("", "") == ("10.0.0.2", "fd00::2")
    assert addresses.take("10.0.0.6", "fd00::42") == ("10.0.0.6", "fd00::42")
    assert pools(ipv6=False).take("", "") == ("10.0.0.2", "")


def test_take_that_fails_for_one_family_holds_none() -> None:
    """The address of the other one is the next container's."""
    addresses = pools()
    with pytest.raises(Forbidden):
        addresses.take("", "fd00::1")
    assert addresses.take("", "") == ("10.0.0.2", "fd00::2")
    with pytest.raises(InvalidArgument, match="no configured subnet"):
        pools(ipv6=False).take("", "fd00::5")


def test_take_again_holds_what_an_endpoint_has_and_no_more() -> None:
    """One from before the network had IPv6 gets no address that it does not know of."""
    addresses = pools()
    assert addresses.take_again(ENDPOINT) == ENDPOINT
    with pytest.raises(Forbidden):
        addresses.take("10.0.0.4", "")
    old = Endpoint("net", "n", "d", "e", "10.0.0.2", 29, "10.0.0.1")
    assert addresses.take_again(old) == old
    assert addresses.take("", "") == ("10.0.0.3", "fd00::2")


def test_take_again_where_ipv6_was_switched_off_keeps_the_rest() -> None:
    """A daemon that starts without --ipv6 loses no container that ran with it."""
    published = (PublishedPort("tcp", 80, "0.0.0.0", 8080), PublishedPort("tcp", 80, "::", 8080))
    with_ports = Endpoint("net", "n", "c", "e", "10.0.0.4", 29, "10.0.0.1", ports=published, ip6="fd00::4", prefix6=64)
    kept = pools(ipv6=False).take_again(with_ports)
    assert (kept.ip, kept.ip6, kept.ports) == ("10.0.0.4", "", published[:1])


def test_choose_address_of_a_network_that_had_one() -> None:
    """It stays while the host leaves it free or containers have addresses of it, else another one is picked."""
    before, other = IPv4Interface("10.0.0.1/24"), IPv4Interface("10.9.0.1/24")
    taken = [IPv4Network("10.0.0.0/16")]
    assert choose_address(None, before, [], lambda: other, in_use=False) == (before, [])
    assert choose_address(None, before, taken, lambda: other, in_use=True) == (before, [])
    assert choose_address(None, before, taken, lambda: other, in_use=False) == (other, [])
    assert choose_address(other, before, [], lambda: before, in_use=True)[0] == before
    assert choose_address(other, before, [], lambda: before, in_use=False) == (other, [])
