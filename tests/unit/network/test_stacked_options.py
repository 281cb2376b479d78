"""What the definition of a macvlan or ipvlan network means."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.network.bridge_options import PoolDefaults
from shoal.network.definition import NetworkDefinition
from shoal.network.stacked_options import StackedConfig, stacked_config


def config(driver: str, **options: str) -> StackedConfig:
    """The network of this driver with these options."""
    definition = NetworkDefinition("a" * 64, "net", 1, driver, subnet="10.9.0.0/24", options=options)
    return stacked_config(definition, PoolDefaults())


def test_modes_are_dockers_by_default() -> None:
    """Bridge for macvlan, l2 and the flag bridge for ipvlan."""
    macvlan, ipvlan = config("macvlan", parent="eth0"), config("ipvlan")
    assert (macvlan.kind, macvlan.mode, macvlan.flag, macvlan.parent) == ("macvlan", "bridge", "", "eth0")
    assert (ipvlan.kind, ipvlan.mode, ipvlan.flag, ipvlan.parent) == ("ipvlan", "l2", "bridge", "")


@pytest.mark.parametrize(
    ("driver", "mode", "is_routed", "has_mac_of_parent", "is_exclusive"),
    [
        ("macvlan", "vepa", False, False, False),
        ("macvlan", "passthru", False, True, True),
        ("ipvlan", "l2", False, True, False),
        ("ipvlan", "l3", True, True, False),
        ("ipvlan", "l3s", True, True, False),
    ],
)
def test_mode_decides_who_routes_and_whose_mac_it_is(
    driver: str, mode: str, is_routed: bool, has_mac_of_parent: bool, is_exclusive: bool
) -> None:
    """Without a gateway in the modes that route, with the parent's MAC where the kernel gives no other."""
    made = config(driver, **{f"{driver}_mode": mode})
    assert (made.is_routed, made.has_mac_of_parent, made.is_exclusive) == (is_routed, has_mac_of_parent, is_exclusive)


@pytest.mark.parametrize(
    ("driver", "option", "value", "sentence"),
    [
        ("macvlan", "macvlan_mode", "l2", "'bridge' mode is the macvlan driver default"),
        ("ipvlan", "ipvlan_mode", "bridge", "'l2' mode is the ipvlan driver default"),
        ("ipvlan", "ipvlan_flag", "open", "unknown ipvlan_flag type: open"),
        ("macvlan", "parent", "lo", "loopback interface is not a valid macvlan parent link"),
        ("ipvlan", "com.docker.network.driver.mtu", "66000", "invalid MTU number"),
    ],
)
def test_option_that_cannot_be_is_refused(driver: str, option: str, value: str, sentence: str) -> None:
    """In Docker's words."""
    with pytest.raises(InvalidArgument, match=sentence):
        config(driver, **{option: value})
