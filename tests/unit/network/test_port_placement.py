"""shoal.network.port_placement: on which addresses, in which family, and whether on the host at all."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.network.endpoint import PublishedPort
from shoal.network.port_placement import Publishing
from shoal.network.ports import PortRequest, kept_ports

DUAL = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081), dual=True)
SINGLE = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081))
SIX = PortRequest("tcp", 80, "::", range(8080, 8081))
OPENED, OPENED6 = PublishedPort("tcp", 80, "0.0.0.0", 0), PublishedPort("tcp", 80, "::", 0)


@pytest.mark.parametrize(
    ("publishing", "has_ipv6", "placed", "opened"),
    [
        (Publishing("net"), True, [DUAL], []),
        (Publishing("net"), False, [SINGLE], []),
        (Publishing("net", "127.0.0.1"), True, [PortRequest("tcp", 80, "127.0.0.1", range(8080, 8081))], []),
        (Publishing("net", routed=True), True, [SIX], [OPENED]),
        (Publishing("net", routed6=True), True, [SINGLE], [OPENED6]),
        (Publishing("net", routed=True, routed6=True), True, [], [OPENED, OPENED6]),
        (Publishing("net", routed=True, routed6=True), False, [], [OPENED]),
    ],
)
def test_place_of_a_port_without_an_address(
    publishing: Publishing, has_ipv6: bool, placed: list[PortRequest], opened: list[PublishedPort]
) -> None:
    """In both families where the container has both; where one is routed the other takes its number alone."""
    assert publishing.place([DUAL], has_ipv6=has_ipv6) == (placed, opened)


def test_place_of_a_port_with_an_address_is_at_that_one_only() -> None:
    """Of either family, whatever the network's own address."""
    local, six = PortRequest("tcp", 80, "127.0.0.1"), PortRequest("tcp", 80, "::1")
    assert Publishing("net").place([local, six], has_ipv6=True) == ([local, six], [])


def test_place_of_an_ipv6_address_where_the_container_has_none_is_refused() -> None:
    """The sentence names the address and the network, the hint two ways out."""
    with pytest.raises(InvalidArgument) as caught:
        Publishing("net").place([PortRequest("tcp", 80, "::1")], has_ipv6=False)
    assert caught.value.what == "cannot publish port 80/tcp on [::1]"
    assert "network net" in caught.value.why
    assert "--ipv6" in caught.value.fix


def test_kept_ports_of_both_families_stay_together_only() -> None:
    """What serves a request without an address is both ports of one number, or nothing."""
    four, six = PublishedPort("tcp", 80, "0.0.0.0", 8080), PublishedPort("tcp", 80, "::", 8080)
    assert kept_ports([four, six], [DUAL]) == ([four, six], [])
    assert kept_ports([four], [DUAL]) == ([], [DUAL])
    assert kept_ports([four, six], [DUAL], closing=[six]) == ([], [DUAL])
    assert kept_ports([four, six], [SINGLE]) == ([four], [])
