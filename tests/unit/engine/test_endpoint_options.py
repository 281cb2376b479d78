"""shoal.engine.endpoint_options: names and settings of interfaces, which reach paths and requests."""

from __future__ import annotations

import pytest

from shoal.engine.endpoint_options import EndpointOptions, interface_names, read_endpoint_options
from shoal.errors import InvalidArgument

_IFNAME, _SYSCTLS = "com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls"


def test_read_endpoint_options_of_every_kind() -> None:
    """A name, two settings, and what is not shoal's to read."""
    text = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.IFNAME.ucast_solicit=5"
    settings = (("ipv4/conf", "log_martians", "1"), ("ipv6/neigh", "ucast_solicit", "5"))
    assert read_endpoint_options({_IFNAME: "lan0", _SYSCTLS: text, "x": "y"}) == EndpointOptions("lan0", settings)
    assert read_endpoint_options(None) == read_endpoint_options({}) == EndpointOptions()


@pytest.mark.parametrize("name", ["lo", "all", "default", "a" * 16, "a/b", "..", "a b", "eth%d", "a\n", "-x"])
def test_read_endpoint_options_of_a_name_that_means_more_is_refused(name: str) -> None:
    """It stands in paths and in requests to the kernel."""
    with pytest.raises(InvalidArgument, match="invalid interface name"):
        read_endpoint_options({_IFNAME: name})


@pytest.mark.parametrize(
    "text",
    [
        "net.ipv4.conf.eth0.log_martians=1",
        "net.ipv4.conf.IFNAME.log_martians",
        "net.core.conf.IFNAME.x=1",
        "kernel.msgmax=1",
        "net.ipv4.conf.IFNAME.../x=1",
        "net.ipv4.../conf.IFNAME.x=1",
        "net.ipv4.conf.IFNAME.x=1\n2",
    ],
)
def test_read_endpoint_options_of_another_sysctl_is_refused(text: str) -> None:
    """Only settings of the interface itself, in Docker's words."""
    with pytest.raises(InvalidArgument, match="unrecognised network interface sysctl"):
        read_endpoint_options({_SYSCTLS: text})


def test_interface_names_are_the_asked_ones_and_free_ones() -> None:
    """One that takes another's usual name moves that on; one that is asked for twice is refused."""
    assert interface_names(["", "", ""]) == ["eth0", "eth1", "eth2"]
    assert interface_names(["", "eth0", "lan"]) == ["eth1", "eth0", "lan"]
    with pytest.raises(InvalidArgument, match="asked for in two networks"):
        interface_names(["lan", "", "lan"])
