"""What a bridge makes of a network's definition: names and numbers that must not reach kernel or firewall."""

from __future__ import annotations

import sqlite3

import pytest

from shoal.errors import InvalidArgument
from shoal.network.bridge import BridgeNetwork
from shoal.network.bridge_options import bridge_config
from shoal.network.definition import NetworkDefinition

_NAME, _MTU = "com.docker.network.bridge.name", "com.docker.network.driver.mtu"


def _definition(options: dict[str, str]) -> NetworkDefinition:
    return NetworkDefinition(id="a" * 64, name="net", created_ns=1, options=options)


@pytest.mark.parametrize(
    "name", ['x" accept;#', "br*", "br%d", "all", "default", ".", "..", "a/b", "-x", "a" * 16, "brä", "a\nb", "a\n"]
)
def test_bridge_name_that_means_more_than_a_name_is_refused(name: str) -> None:
    """It stands in rules, in paths and in requests, where quotes, wildcards and patterns mean something."""
    with pytest.raises(InvalidArgument, match="invalid bridge name"):
        bridge_config(_definition({_NAME: name}), "shoal")


@pytest.mark.parametrize("name", ["br0", "br-1.2_x", "a" * 15])
def test_bridge_name_of_the_usual_kind_is_taken(name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    assert bridge_config(_definition({_NAME: name}), "shoal").bridge == name


@pytest.mark.parametrize("mtu", ["²", "١٥٠٠", "9" * 5000, "-1", "67", "65536", ""])
def test_mtu_that_is_no_number_in_range_is_refused(mtu: str) -> None:
    """Digits of other scripts and endless ones are told to the client, not raised as a fault of shoal's."""
    with pytest.raises(InvalidArgument, match=r"failed to parse|invalid MTU number"):
        bridge_config(_definition({_MTU: mtu}), "shoal")


def test_network_has_the_id_that_its_maker_was_told() -> None:
    """It is known by it at once, not by another one of the bridge's own."""
    config = bridge_config(_definition({}), "shoal")
    with sqlite3.connect(":memory:") as database:
        shown = BridgeNetwork(config, database).inspect()
    assert (shown.id, shown.created_ns) == ("a" * 64, 1)
