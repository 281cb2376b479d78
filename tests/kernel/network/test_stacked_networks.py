"""macvlan and ipvlan networks on an interface of the host, with a machine of its LAN as the other end.

A kernel may lack each kind: then the clear refusal is what is tested, told apart by what `ip link` is told.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from shoal.errors import Conflict, Forbidden, InvalidArgument, Unavailable, Unsupported
from shoal.linux.netlink import Netlink
from shoal.network.bridge_host import BridgeHost
from shoal.network.bridge_options import PoolDefaults
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import EndpointRequest
from shoal.network.parents import Parents
from shoal.network.stacked import StackedNetwork
from shoal.network.stacked_options import stacked_config
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import Namespace, exchange, link_names

pytestmark = pytest.mark.root
SHORT_S = 0.4
POOLS, POOLS6 = (("10.200.0.0/16", 24),), (("fd00:9::/48", 64),)
Make = Callable[..., StackedNetwork]


def has_kind(kind: str) -> bool:
    """Whether iproute2 gets an interface of this kind from the kernel."""
    above = [] if kind == "dummy" else ["link", "eth0"]
    more = ["id", "7"] if kind == "vlan" else []
    made = subprocess.run(["ip", "link", "add", *above, "probe", "type", kind, *more], check=False, capture_output=True)
    if made.returncode == 0:
        subprocess.run(["ip", "link", "del", "probe"], check=True)
    return made.returncode == 0


@pytest.fixture
def make(site: Site) -> Iterator[Make]:
    """Makes networks as one daemon has them: one worker, one list of parents; 192.0.2.0/24 is the LAN's subnet."""
    host, parents, networks = BridgeHost("shoal"), Parents("shoal"), list[StackedNetwork]()

    def network(
        name: str,
        *,
        driver: str = "macvlan",
        subnet: str = "192.0.2.0/24",
        internal: bool = False,
        ipv6: bool = False,
        **options: str,
    ) -> StackedNetwork:
        gateway = LAN_IP if subnet.startswith("192.0.2.") else ""
        definition = NetworkDefinition(
            *(f"{len(networks):064x}", name, 1, driver, subnet, gateway),
            internal=internal,
            ipv6=ipv6,
            options={"parent": "eth0", **options},
        )
        made = StackedNetwork(stacked_config(definition, PoolDefaults(POOLS, POOLS6)), site.database, host, parents)
        networks.append(made)
        site.run(made.claim())
        site.notes += site.run(made.start())
        return made

    try:
        yield network
    finally:
        for known in reversed(networks):
            site.run(known.stop(remove=True))
        site.run(host.close())


def container(site: Site, network: StackedNetwork, digit: str, ip: str) -> Namespace:
    """A process in a namespace of its own, on the network."""
    endpoint = site.run(network.allocate(digit * 64, EndpointRequest(ip=ip)))
    namespace = site.process()
    site.run(network.connect(endpoint, namespace.pid))
    interface = endpoint.interface()
    assert interface is not None
    assert interface.address is not None
    namespace.configure("eth0", interface.address, interface.gateway)
    return namespace


def _silent(client: Namespace, ip: str, port: int) -> None:
    with pytest.raises(OSError):
        client.connect(ip, port, timeout_s=SHORT_S)


def test_macvlan_makes_containers_machines_of_the_lan(site: Site, make: Make) -> None:
    """They reach the LAN's machines and each other with addresses of their own; the host, as ever, is out of reach."""
    network = make("lan")
    one, two = container(site, network, "a", "192.0.2.10"), container(site, network, "b", "192.0.2.11")
    with site.lan.listen("0.0.0.0", 80) as server:
        assert exchange(server, one.connect(LAN_IP, 80)) == "192.0.2.10"
    with one.listen("0.0.0.0", 80) as server:
        assert exchange(server, two.connect("192.0.2.10", 80)) == "192.0.2.11"
        assert exchange(server, site.lan.connect("192.0.2.10", 80)) == LAN_IP
    _silent(one, HOST_IP, 80)
    assert "02:42:c0:00:02:0a" in one.ip("link", "show", "eth0")


def test_macvlan_of_mode_private_keeps_its_containers_apart(site: Site, make: Make) -> None:
    """They reach the LAN and not each other."""
    network = make("lan", macvlan_mode="private")
    one, two = container(site, network, "a", "192.0.2.10"), container(site, network, "b", "192.0.2.11")
    with one.listen("0.0.0.0", 80) as server:
        assert exchange(server, site.lan.connect("192.0.2.10", 80)) == LAN_IP
        _silent(two, "192.0.2.10", 80)


def test_macvlan_comes_and_goes_while_a_container_runs(site: Site, make: Make) -> None:
    """Under the next free name with its address, then as the way outside, then gone, and its address free again."""
    network = make("lan")
    namespace = site.process()
    endpoint = site.run(network.allocate("a" * 64, EndpointRequest(ip="192.0.2.10", mac="02:00:00:00:00:05")))
    site.run(network.plug(endpoint, namespace.pid))
    assert "02:00:00:00:00:05" in namespace.ip("link", "show", "eth0")
    site.run(network.route("a" * 64, namespace.pid))
    assert f"default via {LAN_IP} dev eth0" in namespace.ip("route")
    namespace.ip("link", "set", "eth0", "down")
    namespace.ip("link", "set", "eth0", "name", "renamed")
    site.run(network.unplug("a" * 64, namespace.pid))
    site.run(network.unplug("a" * 64, namespace.pid))
    assert "renamed" not in namespace.ip("link")
    site.run(network.release("a" * 64))
    assert site.run(network.allocate("b" * 64, EndpointRequest(ip="192.0.2.10"))).ip == "192.0.2.10"


def test_macvlan_after_a_killed_daemon_holds_the_addresses_again(site: Site, make: Make) -> None:
    """The next daemon, over the same database, gives nobody the address of a container that runs on."""
    container(site, make("lan"), "a", "192.0.2.10")
    again = make("lan")
    kept = again.endpoint("a" * 64)
    assert kept is not None
    assert kept.ip == "192.0.2.10"
    with pytest.raises(Forbidden, match="in use"):
        site.run(again.allocate("b" * 64, EndpointRequest(ip="192.0.2.10")))


def test_macvlan_with_ipv6_has_an_address_and_a_way_of_each_family(site: Site, make: Make) -> None:
    """From the start and when it joins; the addresses are held by the next daemon too."""
    network = make("lan", ipv6=True)
    assert network.inspect().subnet6 == "fd00:9::/64"
    endpoint = site.run(network.allocate("a" * 64, EndpointRequest(ip="192.0.2.10", ip6="fd00:9::10")))
    interface = endpoint.interface()
    assert interface is not None
    assert (interface.address6, interface.gateway6) == ("fd00:9::10/64", "fd00:9::1")
    one, two = site.process(), site.process()
    site.run(network.plug(endpoint, one.pid))
    site.run(network.plug(site.run(network.allocate("b" * 64)), two.pid))
    site.run(network.route("a" * 64, one.pid, ipv6=True))
    assert "default via fd00:9::1 dev eth0" in one.ip("-6", "route")
    with one.call(lambda: socket.create_server(("fd00:9::10", 80), family=socket.AF_INET6)) as server:
        server.settimeout(3)
        assert exchange(server, two.connect("fd00:9::10", 80)) == "fd00:9::2"
    again = make("lan", ipv6=True)
    with pytest.raises(Forbidden, match="in use"):
        site.run(again.allocate("c" * 64, EndpointRequest(ip6="fd00:9::10")))


def test_internal_macvlan_gives_no_gateway(site: Site, make: Make) -> None:
    """Its containers have a place in the LAN, and no way out of it."""
    endpoint = site.run(make("lan", internal=True).allocate("a" * 64))
    interface = endpoint.interface()
    assert interface is not None
    assert not interface.gateway


def test_passthru_gives_its_parent_the_mac_that_was_asked_for(site: Site, make: Make) -> None:
    """As long as the container lives; then the parent has its own again."""
    with Netlink() as netlink:
        before = netlink.link_get("eth0").mac
        network = make("lan", macvlan_mode="passthru")
        endpoint = site.run(network.allocate("a" * 64, EndpointRequest(mac="02:00:00:00:00:05")))
        assert endpoint.mac == "02:00:00:00:00:05"
        namespace = site.process()
        site.run(network.plug(endpoint, namespace.pid))
        assert "02:00:00:00:00:05" in namespace.ip("link", "show", "eth0")
        assert netlink.link_get("eth0").mac == "02:00:00:00:00:05"
        site.run(network.unplug("a" * 64, namespace.pid))
        assert netlink.link_get("eth0").mac == before


def test_passthru_has_the_parent_for_itself(site: Site, make: Make) -> None:
    """One network, one container, the parent's MAC; the second of each is refused with what is in the way."""
    network = make("lan", macvlan_mode="passthru")
    with pytest.raises(Forbidden, match="network lan is already using parent interface eth0"):
        make("other", subnet="10.9.0.0/24")
    namespace = container(site, network, "a", "192.0.2.10")
    with Netlink() as netlink:
        assert netlink.link_get("eth0").mac in namespace.ip("link", "show", "eth0")
    second = site.run(network.allocate("b" * 64))
    with pytest.raises(Conflict, match="takes no macvlan"):
        site.run(network.connect(second, site.process().pid))


def test_subnet_is_of_the_pools_where_none_is_named(make: Make) -> None:
    """The first that no other network and no route of the host has; the next network gets the next one."""
    subprocess.run(["ip", "route", "add", "10.200.0.0/24", "via", LAN_IP], check=True)
    assert make("one", subnet="").inspect().subnet == "10.200.1.0/24"
    assert make("two", subnet="").inspect().subnet == "10.200.2.0/24"


def test_address_that_is_left_over_is_none(site: Site, make: Make) -> None:
    """When the subnet is used up, the sentence says what to do."""
    network = make("lan", subnet="10.9.0.0/30")
    site.run(network.allocate("a" * 64))
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        site.run(network.allocate("b" * 64))


@pytest.mark.parametrize(
    ("parent", "sentence"),
    [
        ("eth9", "invalid subinterface vlan name eth9, example formatting is eth0.10"),
        ("eth9.10", "failed to find master interface eth9"),
        ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
        ("eth0.ten", "invalid subinterface vlan name eth0.ten"),
        ("a-name-that-is-too-long-for-an-interface", "invalid subinterface vlan name"),
    ],
)
def test_parent_that_cannot_be_is_refused(make: Make, parent: str, sentence: str) -> None:
    """In Docker's words, and nothing is left on the host."""
    links = link_names()
    with pytest.raises(InvalidArgument, match=sentence):
        make("lan", parent=parent)
    assert link_names() == links


def test_ipvlan_works_or_is_refused_with_the_module_that_is_missing(site: Site, make: Make) -> None:
    """Where the kernel has it, containers have the parent's MAC and reach the LAN; else the error says what to load."""
    if not has_kind("ipvlan"):
        with pytest.raises(Unsupported, match="this kernel has no ipvlan interfaces") as refusal:
            make("lan", driver="ipvlan")
        assert "modprobe ipvlan" in refusal.value.fix
        return
    one = container(site, make("lan", driver="ipvlan"), "a", "192.0.2.10")
    with site.lan.listen("0.0.0.0", 80) as server:
        assert exchange(server, one.connect(LAN_IP, 80)) == "192.0.2.10"


@pytest.mark.parametrize(("kind", "parent", "module"), [("vlan", "eth0.10", "8021q"), ("dummy", "", "dummy")])
def test_parent_is_made_and_removed_or_refused(site: Site, make: Make, kind: str, parent: str, module: str) -> None:
    """A VLAN of the host's interface, or a dummy of the network's own: shared by its networks, gone after the last."""
    before = link_names()
    if not has_kind(kind):
        with pytest.raises(Unsupported, match=f"this kernel has no {kind} interfaces") as refusal:
            make("one", parent=parent)
        assert f"modprobe {module}" in refusal.value.fix
        assert link_names() == before
        return
    one = make("one", parent=parent)
    made = set(link_names()) - set(before)
    assert len(made) == 1
    two = make("two", parent=made.copy().pop(), subnet="10.9.0.0/24")
    site.run(one.stop(remove=True))
    assert made <= set(link_names())
    site.run(two.stop(remove=True))
    assert link_names() == before


def test_default_route_into_an_interface_needs_no_gateway(site: Site, make: Make) -> None:
    """What ipvlan's routing modes give, tried on a macvlan: the gateway 0.0.0.0 is the interface itself."""
    namespace = container(site, make("lan", internal=True), "a", "192.0.2.10")
    namespace.configure("eth0", "192.0.2.99/24", "0.0.0.0")
    assert "default dev eth0 scope link" in namespace.ip("route")
