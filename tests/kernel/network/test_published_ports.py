"""Published ports, from everywhere that a client can be."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable

import pytest

from shoal.errors import Internal
from shoal.network.driver import EndpointRequest
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import Namespace, exchange, listen, ping_udp, read_sysctl, udp, write_sysctl

pytestmark = pytest.mark.root


def web(host_port: int = 8080, host_ip: str = "0.0.0.0") -> PortRequest:
    """`-p HOST_IP:HOST_PORT:80`."""
    return PortRequest("tcp", 80, host_ip, range(host_port, host_port + 1))


def dns(host_port: int = 5353, host_ip: str = "0.0.0.0") -> PortRequest:
    """`-p HOST_IP:HOST_PORT:53/udp`."""
    return PortRequest("udp", 53, host_ip, range(host_port, host_port + 1))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", HOST_IP, "172.17.0.1"])
def test_published_tcp_from_the_host_reaches_the_container(site: Site, address: str) -> None:
    """Every local address of the host leads to the container, with forwarding off."""
    container, _ = site.container(site.network(ip_forward=False), web())
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, socket.create_connection((address, 8080), timeout=3))
    assert read_sysctl("net.ipv4.ip_forward") == "0"


def test_published_tcp_from_the_lan_reaches_the_container_with_its_source(site: Site) -> None:
    """A machine on the LAN reaches the port, and the container sees that machine's address."""
    container, _ = site.container(site.network(), web())
    with container.listen("0.0.0.0", 80) as server:
        assert exchange(server, site.lan.connect(HOST_IP, 8080)) == LAN_IP


def test_published_udp_from_the_lan_reaches_the_container_with_its_source(site: Site) -> None:
    """A datagram and its answer pass, the source address preserved."""
    container, _ = site.container(site.network(), dns())
    with container.udp("0.0.0.0", 53) as server, site.lan.udp(LAN_IP, 0) as client:
        assert ping_udp(server, client, (HOST_IP, 5353)) == LAN_IP


def _sctp_init(source_port: int, port: int) -> bytes:
    """The first packet of an association, RFC 9260: INIT in a packet whose checksum is right, or conntrack drops it."""
    chunk = struct.pack(">BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 1)
    header = struct.pack(">HHI", source_port, port, 0)
    checksum = 0xFFFFFFFF
    for byte in header + bytes(4) + chunk:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0x82F63B78 if checksum & 1 else 0)
    return header + struct.pack("<I", checksum ^ 0xFFFFFFFF) + chunk


def _sent_until_received(send: Callable[[], object], server: socket.socket) -> tuple[bytes, tuple[str, int]]:
    """What comes, and from whom; sent again as by an SCTP, because an interface just up may drop its first packets."""
    for _ in range(10):
        send()
        with contextlib.suppress(TimeoutError):
            return server.recvfrom(2048)
    raise AssertionError("nothing came of ten packets")


def test_published_sctp_from_the_lan_reaches_the_container_with_its_source(site: Site) -> None:
    """By raw sockets, because kernels may have no SCTP of their own, and translate it all the same."""

    def raw() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
        made.settimeout(3)
        return made

    container, _ = site.container(site.network(), PortRequest("sctp", 80, "0.0.0.0", range(8080, 8081)))
    with container.call(raw) as server, site.lan.call(raw) as client:
        server.settimeout(0.5)
        packet, peer = _sent_until_received(lambda: client.sendto(_sctp_init(4000, 8080), (HOST_IP, 0)), server)
    header = (packet[0] & 15) * 4
    assert peer[0] == LAN_IP
    assert struct.unpack_from(">HH", packet, header) == (4000, 80)
    assert packet[header:] == _sctp_init(4000, 80)


@pytest.mark.parametrize("address", ["127.0.0.1", HOST_IP])
def test_published_udp_from_the_host_reaches_the_container(site: Site, address: str) -> None:
    """UDP works from the host's loopback and its own address."""
    container, _ = site.container(site.network(ip_forward=False), dns())
    with container.udp("0.0.0.0", 53) as server, udp("0.0.0.0", 0) as client:
        ping_udp(server, client, (address, 5353))


def test_published_on_localhost_from_the_host_reaches_the_container(site: Site) -> None:
    """`-p 127.0.0.1:8080:80` answers on loopback and on no other address of the host."""
    container, _ = site.container(site.network(), web(host_ip="127.0.0.1"))
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, socket.create_connection(("127.0.0.1", 8080), timeout=3))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST_IP, 8080), timeout=3)


def test_published_on_localhost_from_the_lan_is_refused(site: Site) -> None:
    """The LAN gets no answer on the host's own address."""
    container, _ = site.container(site.network(), web(host_ip="127.0.0.1"))
    with container.listen("0.0.0.0", 80), pytest.raises(ConnectionRefusedError):
        site.lan.connect(HOST_IP, 8080)


def test_published_on_localhost_from_the_lan_by_a_loopback_destination_is_not_reached(site: Site) -> None:
    """A neighbour that sends packets for 127.0.0.1 over the wire gets nowhere, neither by tcp nor by udp."""
    container, _ = site.container(site.network(), web(host_ip="127.0.0.1"), dns(host_ip="127.0.0.1"))
    route_loopback_to(site.lan, HOST_IP)
    with container.listen("0.0.0.0", 80), pytest.raises(TimeoutError):
        site.lan.connect("127.0.0.1", 8080, timeout_s=0.5)
    with container.udp("0.0.0.0", 53) as server, site.lan.udp(LAN_IP, 0) as client:
        client.sendto(b"ping", ("127.0.0.1", 5353))
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.recv(10)


def test_published_on_one_address_from_the_lan_answers_there_only(site: Site) -> None:
    """`-p 192.0.2.2:8080:80` answers the LAN, and not on loopback."""
    container, _ = site.container(site.network(), web(host_ip=HOST_IP))
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 8080), timeout=3)


def test_unpublished_port_from_the_lan_by_the_containers_address_is_dropped(site: Site) -> None:
    """A LAN machine with a route to the containers' subnet reaches no container past the published ports."""
    container, endpoint = site.container(site.network(), web())
    site.lan.ip("route", "add", "172.17.0.0/16", "via", HOST_IP)
    with container.listen("0.0.0.0", 80), pytest.raises(TimeoutError):
        site.lan.connect(endpoint.ip, 80, timeout_s=0.5)


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
@pytest.mark.parametrize("address", [HOST_IP, "172.17.0.1"])
def test_published_port_from_another_container_and_from_itself_answers(
    site: Site, bridge_netfilter: str, address: str
) -> None:
    """Containers reach a published port by the host's addresses, even the one that publishes it (hairpin)."""
    write_sysctl("net.bridge.bridge-nf-call-iptables", bridge_netfilter)
    network = site.network()
    container, _ = site.container(network, web(), dns())
    other, _ = site.container(network)
    with container.listen("0.0.0.0", 80) as server, container.udp("0.0.0.0", 53) as datagrams:
        for client in (other, container):
            exchange(server, client.connect(address, 8080))
            with client.udp("0.0.0.0", 0) as sender:
                ping_udp(datagrams, sender, (address, 5353))


def test_release_then_connections_are_refused_and_the_port_is_free(site: Site) -> None:
    """After the container's end nothing answers, and a program of the host may have the port."""
    network = site.network()
    container, endpoint = site.container(network, web())
    site.end(container)
    site.run(network.release(endpoint.container_id))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8080), timeout=3)
    with listen("0.0.0.0", 8080) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))


def test_allocate_port_of_a_host_process_is_refused_and_reserves_nothing(site: Site) -> None:
    """The host's program keeps its port; the failed container holds neither address nor its other port."""
    network = site.network()
    with listen("127.0.0.1", 8080):
        with pytest.raises(Internal) as caught:
            site.run(network.allocate("a" * 64, EndpointRequest(ports=[dns(), web()])))
    assert caught.value.what == ("failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use")
    _, endpoint = site.container(network, dns(), web())
    assert endpoint.ip == "172.17.0.2"


@pytest.mark.parametrize("host_ip", ["0.0.0.0", "127.0.0.1"])
def test_allocate_port_of_another_container_is_refused(site: Site, host_ip: str) -> None:
    """Docker's sentence, whether the second asks for all addresses or for one."""
    network = site.network()
    site.container(network, web())
    with pytest.raises(Internal) as caught:
        site.run(network.allocate("b" * 64, EndpointRequest(ports=[web(host_ip=host_ip)])))
    assert caught.value.what == f"Bind for {host_ip}:8080 failed: port is already allocated"


def test_published_port_a_host_process_that_wants_it_later_is_refused(site: Site) -> None:
    """The reservation is a real one: bind or listen of another program fails, with SO_REUSEADDR too."""
    site.container(site.network(), web(), dns())
    with pytest.raises(OSError, match="in use"):
        listen("0.0.0.0", 8080)
    with pytest.raises(OSError, match="in use"):
        listen(HOST_IP, 8080)
    with pytest.raises(OSError, match="in use"):
        udp("0.0.0.0", 5353)


def test_allocate_port_with_connections_in_time_wait_succeeds(site: Site) -> None:
    """A server of the host that has just ended doesn't keep its port from a container."""
    with listen("127.0.0.1", 8080) as server:
        client = socket.create_connection(("127.0.0.1", 8080))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first, so TIME_WAIT stays on port 8080
        client.recv(1)
        client.close()
    container, _ = site.container(site.network(), web())
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))


def test_connect_with_a_udp_flow_from_before_turns_it_to_the_container(site: Site) -> None:
    """A client that was already sending to the port reaches the container without a new source port."""
    write_sysctl("net.netfilter.nf_conntrack_udp_timeout", "120")
    network = site.network()
    with site.lan.udp(LAN_IP, 0) as client:
        client.sendto(b"early", (HOST_IP, 5353))
        container, _ = site.container(network, dns())
        with container.udp("0.0.0.0", 53) as server:
            ping_udp(server, client, (HOST_IP, 5353))


def route_loopback_to(machine: Namespace, gateway: str) -> None:
    """Make a machine send what it addresses to 127.0.0.1 over the wire."""
    for interface in ("all", "eth0"):
        machine.write_sysctl(f"net.ipv4.conf.{interface}.route_localnet", "1")
    machine.ip("route", "del", "local", "127.0.0.1", "table", "local")
    machine.ip("route", "del", "local", "127.0.0.0/8", "table", "local")
    machine.ip("route", "add", "127.0.0.1/32", "via", gateway, "src", LAN_IP)
