"""Bridges with IPv6: who reaches whom, from containers, the host and a machine on the LAN, and at whose cost."""

from __future__ import annotations

import socket
import struct
import subprocess
from dataclasses import replace
from functools import partial

import pytest

from shoal.linux.netlink import Netlink
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Make, Site
from tests.kernel.network.namespaces import (
    Namespace,
    exchange,
    listen,
    nft,
    ping_udp,
    read_sysctl,
    write_sysctl,
)

pytestmark = pytest.mark.root
HOST_IP6, LAN_IP6 = "2001:db8::2", "2001:db8::1"
WEB = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081), dual=True)
DNS = PortRequest("udp", 53, "0.0.0.0", range(5353, 5354), dual=True)
SUBNET = "fd00:77::/64"
SHORT_S = 0.4
FORWARDING = "net.ipv6.conf.all.forwarding"


@pytest.fixture(autouse=True)
def lan6(site: Site) -> None:
    """The host and the LAN have IPv6, without duplicate address detection; forwarding is off."""
    site.lan.ip("-6", "address", "add", f"{LAN_IP6}/64", "dev", "eth0", "nodad")
    with Netlink() as netlink:
        netlink.addr_add("eth0", HOST_IP6, 64)
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", "0")
    assert read_sysctl(FORWARDING) == "0"


def _silent(client: Namespace, ip: str, port: int) -> None:
    with pytest.raises(OSError):
        client.connect(ip, port, timeout_s=SHORT_S)


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_containers_of_a_network_reach_each_other_and_the_host(site: Site, make: Make, bridge_netfilter: str) -> None:
    """With their own addresses, in both directions, whether iptables sees bridged packets or not."""
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", bridge_netfilter)
    network = make("one", subnet6=SUBNET)
    one, first = site.container(network)
    two, second = site.container(network)
    assert (first.ip6, second.ip6, first.gateway6) == ("fd00:77::2", "fd00:77::3", "fd00:77::1")
    with one.listen("::", 80) as server:
        assert exchange(server, two.connect(first.ip6, 80)) == second.ip6
        assert exchange(server, socket.create_connection((first.ip6, 80), timeout=3)) == "fd00:77::1"
    with listen("::", 81) as server:
        assert exchange(server, one.connect("fd00:77::1", 81)) == first.ip6


def test_outside_a_container_seems_to_be_the_host(site: Site, make: Make) -> None:
    """NAT66: the machine on the LAN, which knows no route back, sees the host's address."""
    container, _ = site.container(make("one", subnet6=SUBNET))
    with site.lan.listen("::", 80) as server:
        assert exchange(server, container.connect(LAN_IP6, 80)) == HOST_IP6


@pytest.mark.parametrize("options", [{"enable_ip_masquerade": "false"}, {"gateway_mode_ipv6": "routed"}])
def test_without_translation_a_container_has_its_own_address_outside(
    site: Site, make: Make, options: dict[str, str]
) -> None:
    """Others need a route back, and see who it is."""
    container, endpoint = site.container(make("one", subnet6=SUBNET, **options))
    site.lan.ip("-6", "route", "add", SUBNET, "via", HOST_IP6)
    with site.lan.listen("::", 80) as server:
        assert exchange(server, container.connect(LAN_IP6, 80)) == endpoint.ip6


def test_published_port_is_reached_from_everywhere(site: Site, make: Make) -> None:
    """By both families under one number: from the LAN, the host, its loopback, a neighbour and the container itself."""
    network = make("one", subnet6=SUBNET)
    container, endpoint = site.container(network, WEB, DNS)
    neighbour, _ = site.container(network)
    other, _ = site.container(make("two", subnet6="any"))
    assert [(port.host_ip, port.host_port) for port in endpoint.ports[:2]] == [("0.0.0.0", 8080), ("::", 8080)]
    with container.listen("::", 80) as server:
        assert exchange(server, site.lan.connect(HOST_IP6, 8080)) == LAN_IP6
        assert exchange(server, site.lan.connect(HOST_IP, 8080)) == f"::ffff:{LAN_IP}"
        for client in (neighbour, other, container):
            exchange(server, client.connect(HOST_IP6, 8080))
        for address in (HOST_IP6, "::1", "127.0.0.1"):
            exchange(server, socket.create_connection((address, 8080), timeout=3))
    with container.udp("::", 53) as server, site.lan.udp(LAN_IP6, 0) as client:
        assert ping_udp(server, client, (HOST_IP6, 5353)) == LAN_IP6


def test_port_published_to_the_loopback_stays_there(site: Site, make: Make) -> None:
    """The host reaches it at ::1; a machine on the LAN does not, though it sends to ::1 by the wire."""
    request = PortRequest("tcp", 80, "::1", range(8080, 8081))
    container, _ = site.container(make("one", subnet6=SUBNET), request)
    with container.listen("::", 80) as server:
        exchange(server, socket.create_connection(("::1", 8080), timeout=3))
        _silent(site.lan, HOST_IP6, 8080)
        site.lan.ip("-6", "route", "del", "local", "::1", "table", "local")
        site.lan.ip("-6", "route", "add", "::1/128", "via", HOST_IP6)
        _silent(site.lan, "::1", 8080)


def test_loopback_where_iptables_sees_bridged_packets_is_refused_at_once(site: Site, make: Make) -> None:
    """What cannot be translated is not begun, so that clients go on to 127.0.0.1; and it is as soon as it can be."""
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", "1")
    network = make("one", subnet6=SUBNET)
    container, _ = site.container(network, WEB)
    with container.listen("::", 80) as server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", 8080), timeout=3)
        exchange(server, socket.create_connection((HOST_IP6, 8080), timeout=3))
        write_sysctl("net.bridge.bridge-nf-call-ip6tables", "0")
        site.run(network.mend())
        exchange(server, socket.create_connection(("::1", 8080), timeout=3))


def test_mend_after_the_whole_ruleset_was_flushed_publishes_again(site: Site, make: Make) -> None:
    """IPv6 is part of the table that is put back."""
    network = make("one", subnet6=SUBNET)
    container, _ = site.container(network, WEB)
    nft("flush", "ruleset")
    site.run(network.mend())
    with container.listen("::", 80) as server:
        exchange(server, site.lan.connect(HOST_IP6, 8080))


def test_what_is_not_published_is_not_reached(site: Site, make: Make) -> None:
    """Neither from the LAN nor from another network, by the container's own address."""
    container, endpoint = site.container(make("one", subnet6=SUBNET), WEB)
    other, _ = site.container(make("two", subnet6="any"))
    site.lan.ip("-6", "route", "add", SUBNET, "via", HOST_IP6)
    with container.listen("::", 80), container.listen("::", 81):
        for client in (site.lan, other):
            _silent(client, endpoint.ip6, 80)
            _silent(client, endpoint.ip6, 81)


def test_nat_unprotected_lets_others_route_to_containers(site: Site, make: Make) -> None:
    """To any port, published or not; published ones are translated besides."""
    modes = {"gateway_mode_ipv4": "nat-unprotected", "gateway_mode_ipv6": "nat-unprotected"}
    container, endpoint = site.container(make("one", subnet6=SUBNET, **modes), WEB)
    site.lan.ip("-6", "route", "add", SUBNET, "via", HOST_IP6)
    site.lan.ip("route", "add", "10.77.1.0/24", "via", HOST_IP)
    with container.listen("::", 81) as server:
        assert exchange(server, site.lan.connect(endpoint.ip6, 81)) == LAN_IP6
        assert exchange(server, site.lan.connect(endpoint.ip, 81)) == f"::ffff:{LAN_IP}"
    with container.listen("::", 80) as server:
        exchange(server, site.lan.connect(HOST_IP6, 8080))


def test_routed_lets_others_route_to_published_ports_only(site: Site, make: Make) -> None:
    """In both families, with echo requests, without a port of the host's; a container that leaves closes them."""
    modes = {"gateway_mode_ipv4": "routed", "gateway_mode_ipv6": "routed"}
    network = make("one", subnet6=SUBNET, **modes)
    container, endpoint = site.container(network, WEB)
    site.lan.ip("-6", "route", "add", SUBNET, "via", HOST_IP6)
    site.lan.ip("route", "add", "10.77.1.0/24", "via", HOST_IP)
    assert [(port.host_ip, port.host_port) for port in endpoint.ports] == [("0.0.0.0", 0), ("::", 0)]
    with container.listen("::", 80) as server, container.listen("::", 81):
        assert exchange(server, site.lan.connect(endpoint.ip6, 80)) == LAN_IP6
        assert exchange(server, site.lan.connect(endpoint.ip, 80)) == f"::ffff:{LAN_IP}"
        _silent(site.lan, endpoint.ip6, 81)
        _silent(site.lan, endpoint.ip, 81)
        _silent(site.lan, HOST_IP6, 8080)
        for address in (endpoint.ip6, endpoint.ip):
            command = ["nsenter", f"--net=/proc/{site.lan.pid}/ns/net", "busybox", "ping", "-c1", "-W2", address]
            subprocess.run(command, check=True, capture_output=True)
        site.run(network.release(endpoint.container_id))
        _silent(site.lan, endpoint.ip6, 80)


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_isolated_network_is_without_the_host(site: Site, make: Make, bridge_netfilter: str) -> None:
    """Its containers reach each other, and not the host, which has no address there."""
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", bridge_netfilter)
    write_sysctl("net.bridge.bridge-nf-call-iptables", bridge_netfilter)
    modes = {"gateway_mode_ipv4": "isolated", "gateway_mode_ipv6": "isolated"}
    network = make("one", subnet6=SUBNET, internal=True, **modes)
    one, first = site.container(network)
    two, second = site.container(network)
    assert (first.gateway, first.gateway6) == ("", "")
    with Netlink() as netlink:
        own = {address.address for address in netlink.addr_list("br-one")}
    assert not {address for address in own if not address.startswith("fe80:")}
    with one.listen("::", 80) as server:
        assert exchange(server, two.connect(first.ip6, 80)) == second.ip6
        assert exchange(server, two.connect(first.ip, 80)) == f"::ffff:{second.ip}"
    _silent(one, "fd00:77::1", 80)


def test_bridge_without_an_ipv4_address_leaves_the_gateway_to_others(site: Site, make: Make) -> None:
    """inhibit_ipv4: containers have the route all the same, to a router that is on the bridge like them."""
    network = make("one", inhibit_ipv4="true")
    container, endpoint = site.container(network)
    with Netlink() as netlink:
        assert netlink.addr_list("br-one") == []
    assert (endpoint.gateway, endpoint.gateway_mac) == ("10.77.1.1", "")
    with container.listen("0.0.0.0", 80) as server:
        neighbour, other = site.container(network)
        assert exchange(server, neighbour.connect(endpoint.ip, 80)) == other.ip


def test_internal_network_has_no_way_out_or_in(site: Site, make: Make) -> None:
    """Not even by a route of the container's own; neighbours are reached."""
    network = make("one", subnet6=SUBNET, internal=True)
    container, endpoint = site.container(network, WEB)
    neighbour, _ = site.container(network)
    site.lan.ip("-6", "route", "add", SUBNET, "via", HOST_IP6)
    assert endpoint.ports == ()
    with site.lan.listen("::", 80), container.listen("::", 80) as server:
        _silent(container, LAN_IP6, 80)
        _silent(site.lan, endpoint.ip6, 80)
        exchange(server, neighbour.connect(endpoint.ip6, 80))


def test_containers_without_icc_do_not_reach_each_other(site: Site, make: Make) -> None:
    """The host reaches both."""
    network = make("one", subnet6=SUBNET, enable_icc="false")
    one, first = site.container(network)
    two, _ = site.container(network)
    with one.listen("::", 80) as server:
        _silent(two, first.ip6, 80)
        exchange(server, socket.create_connection((first.ip6, 80), timeout=3))


def test_container_does_not_speak_with_the_address_of_another_machine(site: Site, make: Make) -> None:
    """What it sends from a foreign address reaches neither the host nor the LAN."""
    container, _ = site.container(make("one", subnet6=SUBNET))
    container.ip("-6", "address", "add", "2001:db8:5::5/128", "dev", "eth0", "nodad")
    with site.lan.udp(LAN_IP6, 5000) as server, container.udp("2001:db8:5::5", 0) as client:
        server.settimeout(SHORT_S)
        client.sendto(b"spoofed", (LAN_IP6, 5000))
        with pytest.raises(TimeoutError):
            server.recvfrom(10)


def test_container_takes_no_routes_from_its_neighbours(site: Site, make: Make) -> None:
    """Router advertisements are not for it: its only way outside is the one that it was given."""
    container, _ = site.container(make("one", subnet6=SUBNET))
    for key, value in (("accept_ra", "0"), ("disable_ipv6", "0")):
        assert container.call(partial(read_sysctl, f"net.ipv6.conf.eth0.{key}")) == value
    assert read_sysctl("net.ipv6.conf.br-one.accept_ra") == "0"


def test_forwarding_leaves_the_hosts_own_routers_in_place_and_ends_with_the_network(site: Site, make: Make) -> None:
    """Where the host listens to routers it goes on to; with the last network that needs it everything is as before."""
    listening = "net.ipv6.conf.eth0.accept_ra"
    assert read_sysctl(listening) == "1"
    network = make("one", subnet6=SUBNET)
    assert (read_sysctl(FORWARDING), read_sysctl(listening)) == ("1", "2")
    second = make("two", subnet6="any")
    site.run(network.stop(remove=True))
    assert read_sysctl(FORWARDING) == "1"
    site.run(second.stop(remove=True))
    assert (read_sysctl(FORWARDING), read_sysctl(listening)) == ("0", "1")


def test_start_after_a_killed_daemon_has_the_same_addresses_and_ports(site: Site, make: Make) -> None:
    """The next daemon has them from the database, and gives them to nobody else."""
    network = make("one", subnet6="any")
    container, endpoint = site.container(network, WEB, ip6="")
    site.run(network.start())
    assert network.endpoint(endpoint.container_id) == endpoint
    _, other = site.container(network)
    assert other.ip6 != endpoint.ip6
    with container.listen("::", 80) as server:
        exchange(server, site.lan.connect(HOST_IP6, 8080))


def test_subnet_is_chosen_beside_what_the_host_has(site: Site, make: Make) -> None:
    """The first /64 of the pool that the host has no route into."""
    site.lan.ip("-6", "address", "add", "2001:db8::3/64", "dev", "eth0", "nodad")
    with Netlink() as netlink:
        netlink.route_add("fd5a::", 64, gateway="2001:db8::3")
    assert make("one", subnet6="any").inspect().subnet6 == "fd5a:0:0:1::/64"
    assert make("two", subnet6="any").inspect().subnet6 == "fd5a:0:0:2::/64"


def test_release_frees_addresses_neighbours_and_ports(site: Site, make: Make) -> None:
    """Nothing of an endpoint stays: the next container gets the same."""
    network = make("one", subnet6=SUBNET)
    container, endpoint = site.container(network, WEB)
    site.end(container)
    site.run(network.release(endpoint.container_id))
    neighbours = subprocess.run(["ip", "-6", "neighbour", "show", "dev", "br-one"], capture_output=True, text=True)
    assert endpoint.ip6 not in neighbours.stdout
    _, again = site.container(network, WEB)
    assert again.ip6 == endpoint.ip6


def test_guarded_port_obeys_the_hosts_firewall_in_each_family(site: Site, make: Make) -> None:
    """What the host's input policy denies by IPv6 is denied, what it lets in is answered with the client's address."""
    container, _ = site.container(make("one", subnet6=SUBNET), replace(WEB, guarded=True))
    rules = ("ct state established,related accept", "icmpv6 type != echo-request accept", f"ip saddr {LAN_IP} accept")
    hook = "type filter hook input priority 0; policy drop; "
    nft(f"table inet x {{ chain i {{ {hook}{'; '.join(rules)}; }}; }}")
    with container.listen("::", 80) as server:
        with pytest.raises(OSError):
            site.lan.connect(HOST_IP6, 8080, timeout_s=1.6)
        assert exchange(server, site.lan.connect(HOST_IP, 8080)) == f"::ffff:{LAN_IP}"
        nft("insert", "rule", "inet", "x", "i", "ip6", "saddr", LAN_IP6, "tcp", "dport", "8080", "accept")
        assert exchange(server, site.lan.connect(HOST_IP6, 8080)) == LAN_IP6
    nft("delete", "table", "inet", "x")


def _advertise(site: Site) -> None:
    """The LAN's machine tells everybody on its link that it is a router, for half an hour."""

    def work() -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
            index = socket.if_nametoindex("eth0")
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            raw.bind(("fe80::1", 0, 0, index))
            message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
            raw.sendto(message, ("ff02::1", 0, 0, index))

    site.lan.call(work)


def _default_routes() -> list[str]:
    with Netlink() as netlink:
        routes = [route for route in netlink.route_list() if route.family == socket.AF_INET6]
    return [route.gateway for route in routes if route.prefix == 0 and route.gateway]


def test_host_keeps_the_default_route_that_it_learnt_from_a_router(site: Site, make: Make) -> None:
    """An advertised route outlives that forwarding is switched on, and goes on to be renewed."""
    site.lan.ip("-6", "address", "add", "fe80::1/64", "dev", "eth0", "nodad")
    with Netlink() as netlink:
        netlink.addr_add("eth0", "fe80::2", 64)
    _advertise(site)
    assert _default_routes() == ["fe80::1"]
    make("one", subnet6=SUBNET)
    assert _default_routes() == ["fe80::1"]
    with Netlink() as netlink:
        netlink.route_del("::", 0)
    _advertise(site)
    assert _default_routes() == ["fe80::1"]


def test_interface_with_ipv6_switched_off_has_ipv4_alone(site: Site, make: Make) -> None:
    """Whoever asks for net.ipv6.conf.all.disable_ipv6=1 in a container gets what he asks for, and an IPv4 network."""
    network = make("one", subnet6=SUBNET)
    endpoint = site.run(network.allocate("f" * 64))
    container = site.process()
    site.run(network.connect(endpoint, container.pid))
    container.write_sysctl("net.ipv6.conf.all.disable_ipv6", "1")
    interface = endpoint.interface()
    assert interface is not None
    assert interface.address is not None
    container.configure(
        "eth0", interface.address, interface.gateway, interface.gateway_mac, address6=interface.address6
    )
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, socket.create_connection((endpoint.ip, 80), timeout=3))


def test_network_beside_dockers_forward_policy_goes_through_its_docker_user(site: Site, make: Make) -> None:
    """ip6tables has a FORWARD and a DOCKER-USER of its own: two accepts there, which go with the network."""
    hook = "type filter hook forward priority 0; policy drop; jump DOCKER-USER"
    nft(f"table ip6 filter {{ chain DOCKER-USER {{ return; }}; chain FORWARD {{ {hook}; }}; }}")
    before = nft("list", "table", "ip6", "filter")
    network = make("one", subnet6=SUBNET)
    container, _ = site.container(network, WEB)
    with container.listen("::", 80) as server:
        exchange(server, site.lan.connect(HOST_IP6, 8080))
    site.run(network.stop(remove=True))
    assert nft("list", "table", "ip6", "filter") == before
    nft("delete", "table", "ip6", "filter")


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_container_does_not_reach_the_hosts_loopback(site: Site, make: Make, bridge_netfilter: str) -> None:
    """What listens at ::1 on the host is not for who sends to ::1 by the bridge, though answers may come in by it."""
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", bridge_netfilter)
    container, endpoint = site.container(make("one", subnet6=SUBNET), WEB)
    container.ip("-6", "route", "del", "local", "::1", "table", "local")
    container.ip("-6", "route", "add", "::1/128", "via", endpoint.gateway6)
    with listen("::1", 9000) as server:
        _silent(container, "::1", 9000)
        _silent(container, "::1", 8080)
        server.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            server.accept()
