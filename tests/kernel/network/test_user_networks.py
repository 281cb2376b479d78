"""Several bridges of one daemon: who reaches whom, from containers, the host and a machine on the LAN."""

from __future__ import annotations

import socket

import pytest

from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Make, Site
from tests.kernel.network.namespaces import Namespace, exchange, nft, ping_udp, write_sysctl

pytestmark = pytest.mark.root
WEB = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081))
SHORT_S = 0.4


def _silent(client: Namespace, ip: str, port: int) -> None:
    with pytest.raises(OSError):
        client.connect(ip, port, timeout_s=SHORT_S)


def test_containers_of_two_networks_do_not_reach_each_other(site: Site, make: Make) -> None:
    """Neither by address nor by a route of the container's own, in either direction."""
    one, first = site.container(make("one"))
    two, second = site.container(make("two"))
    with one.listen("0.0.0.0", 80), two.listen("0.0.0.0", 80):
        _silent(two, first.ip, 80)
        _silent(one, second.ip, 80)


def test_machine_of_the_lan_does_not_reach_a_containers_own_address(site: Site, make: Make) -> None:
    """It routes the subnet to the host, and is turned away there."""
    container, endpoint = site.container(make("one"))
    site.lan.ip("route", "add", "10.77.1.0/24", "via", HOST_IP)
    with container.listen("0.0.0.0", 80):
        _silent(site.lan, endpoint.ip, 80)


def test_published_port_is_reached_from_everywhere(site: Site, make: Make) -> None:
    """From the LAN with its own address, from another network over the host, and by the container itself."""
    one = make("one")
    server, endpoint = site.container(one, WEB)
    other, _ = site.container(make("two"))
    neighbour, _ = site.container(one)
    with server.listen("0.0.0.0", 80) as listening:
        assert exchange(listening, site.lan.connect(HOST_IP, 8080)) == LAN_IP
        exchange(listening, other.connect(HOST_IP, 8080))
        exchange(listening, neighbour.connect(HOST_IP, 8080))
        exchange(listening, server.connect(HOST_IP, 8080))
    assert endpoint.ports[0].host_port == 8080


def test_port_published_to_the_loopback_stays_there(site: Site, make: Make) -> None:
    """`host_binding_ipv4=127.0.0.1`: the host reaches it, the LAN and other networks don't, not by a route either."""
    server, _ = site.container(make("one", host_binding_ipv4="127.0.0.1"), WEB)
    other, _ = site.container(make("two"))
    site.lan.ip("route", "add", "127.0.0.2/32", "via", HOST_IP)
    with server.listen("0.0.0.0", 80) as listening:
        exchange(listening, socket.create_connection(("127.0.0.1", 8080), 3))
        for client in (site.lan, other):
            _silent(client, HOST_IP, 8080)


def test_internal_network_has_no_way_out_or_in(site: Site, make: Make) -> None:
    """Its containers reach each other, but neither the LAN nor another network; no port is published."""
    inside = make("inside", internal=True)
    one, first = site.container(inside, WEB)
    two, _ = site.container(inside)
    outside, _ = site.container(make("outside"))
    assert first.ports == ()
    with one.listen("0.0.0.0", 80) as listening, site.lan.listen(LAN_IP, 9000), outside.listen("0.0.0.0", 80):
        exchange(listening, two.connect(first.ip, 80))
        _silent(one, LAN_IP, 9000)
        _silent(outside, first.ip, 80)


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_containers_without_icc_do_not_reach_each_other(site: Site, make: Make, bridge_netfilter: str) -> None:
    """The way to the LAN is open all the same."""
    write_sysctl("net.bridge.bridge-nf-call-iptables", bridge_netfilter)
    network = make("apart", enable_icc="false")
    one, first = site.container(network)
    two, _ = site.container(network)
    with one.listen("0.0.0.0", 80), site.lan.listen(LAN_IP, 9000) as listening:
        _silent(two, first.ip, 80)
        assert exchange(listening, two.connect(LAN_IP, 9000)) == HOST_IP


def test_without_masquerade_a_container_has_its_own_address_outside(site: Site, make: Make) -> None:
    """The LAN must know the way back, and sees who asks."""
    container, endpoint = site.container(make("plain", enable_ip_masquerade="false"))
    site.lan.ip("route", "add", "10.77.1.0/24", "via", HOST_IP)
    with site.lan.listen(LAN_IP, 9000) as listening, site.lan.udp(LAN_IP, 9001) as datagrams:
        assert exchange(listening, container.connect(LAN_IP, 9000)) == endpoint.ip
        with container.udp("0.0.0.0", 0) as client:
            assert ping_udp(datagrams, client, (LAN_IP, 9001)) == endpoint.ip


def test_network_that_goes_leaves_the_others_as_they_are(site: Site, make: Make) -> None:
    """Its bridge and its rules go; a published port of another network answers on."""
    server, _ = site.container(make("one"), WEB)
    going = make("two")
    with server.listen("0.0.0.0", 80) as listening:
        exchange(listening, site.lan.connect(HOST_IP, 8080))
        site.run(going.stop(remove=True))
        assert "br-two" not in nft("list", "ruleset")
        exchange(listening, site.lan.connect(HOST_IP, 8080))


def test_subnet_that_the_host_uses_is_told_of(site: Site, make: Make) -> None:
    """Once, when the network is made."""
    made = make("over", subnet="192.0.2.128/25")
    told = [note for note in site.notes if "192.0.2.128/25 overlaps with 192.0.2.0/24" in note]
    assert len(told) == 1
    assert site.run(made.start()) == []
