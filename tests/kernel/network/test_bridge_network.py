"""The bridge network's life: start, containers, a killed daemon, neighbours, and nothing left at the end."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess

import pytest

from shoal.errors import Conflict, Forbidden, InvalidArgument, SyscallError
from shoal.linux.netlink import Netlink
from shoal.network.bridge import BridgeNetwork
from shoal.network.bridge_config import BridgeConfig
from shoal.network.driver import EndpointRequest
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import (
    Namespace,
    exchange,
    link_names,
    listen,
    nft,
    ping_udp,
    read_sysctl,
    udp,
    write_sysctl,
)

pytestmark = pytest.mark.root
WEB = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081))


def test_container_reaches_the_host(site: Site) -> None:
    """A service of the host on its own address answers a container."""
    container, endpoint = site.container(site.network(ip_forward=False))
    with listen(HOST_IP, 9000) as server:
        assert exchange(server, container.connect(HOST_IP, 9000)) == endpoint.ip


def test_container_to_a_machine_on_the_lan_is_masqueraded(site: Site) -> None:
    """The LAN answers, and sees the host's address."""
    container, _ = site.container(site.network())
    with site.lan.listen(LAN_IP, 9000) as server, site.lan.udp(LAN_IP, 9001) as datagrams:
        assert exchange(server, container.connect(LAN_IP, 9000)) == HOST_IP
        with container.udp("0.0.0.0", 0) as client:
            assert ping_udp(datagrams, client, (LAN_IP, 9001)) == HOST_IP


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_containers_reach_each_other_with_their_own_addresses(site: Site, bridge_netfilter: str) -> None:
    """Neighbours on the bridge talk directly, whether bridged packets pass the ip hooks or not."""
    write_sysctl("net.bridge.bridge-nf-call-iptables", bridge_netfilter)
    network = site.network(ip_forward=False)
    one, endpoint = site.container(network)
    two, other = site.container(network)
    with one.listen("0.0.0.0", 80) as server:
        assert exchange(server, two.connect(endpoint.ip, 80)) == other.ip


def test_container_does_not_reach_the_hosts_loopback(site: Site) -> None:
    """A container that routes 127.0.0.1 to the bridge doesn't reach what listens there only."""
    container, _ = site.container(site.network())
    for interface in ("all", "eth0"):
        container.write_sysctl(f"net.ipv4.conf.{interface}.route_localnet", "1")
    container.ip("route", "del", "local", "127.0.0.1", "table", "local")
    container.ip("route", "del", "local", "127.0.0.0/8", "table", "local")
    container.ip("route", "add", "127.0.0.1/32", "via", "172.17.0.1")
    with listen("127.0.0.1", 9000), pytest.raises(TimeoutError):
        container.connect("127.0.0.1", 9000, timeout_s=0.5)


def test_container_does_not_speak_with_the_address_of_another_machine(site: Site) -> None:
    """A datagram from an address that isn't behind the bridge comes neither to the host nor to the LAN."""
    container, endpoint = site.container(site.network())
    for key in ("all", "shoal0"):
        write_sysctl(f"net.ipv4.conf.{key}.rp_filter", "0")
        write_sysctl(f"net.ipv4.conf.{key}.accept_local", "1")
    container.ip("addr", "add", "192.0.2.77/32", "dev", "eth0")
    with (
        udp("0.0.0.0", 9000) as host,
        site.lan.udp(LAN_IP, 9001) as lan,
        container.udp("192.0.2.77", 0) as liar,
        container.udp(endpoint.ip, 0) as honest,
    ):
        for server, target in ((host, (HOST_IP, 9000)), (lan, (LAN_IP, 9001))):
            liar.sendto(b"lie", target)
            honest.sendto(b"truth", target)
            assert server.recv(10) == b"truth"


def test_container_does_not_speak_with_the_mac_of_another_container(site: Site) -> None:
    """Nothing of it gets anywhere, and the other one is reached as before."""
    network = site.network()
    honest, endpoint = site.container(network)
    liar, other = site.container(network)
    with udp("0.0.0.0", 9000) as host, honest.udp("0.0.0.0", 9001) as neighbour, liar.udp("0.0.0.0", 0) as client:
        liar.ip("link", "set", "eth0", "address", endpoint.mac)
        liar.ip("neigh", "replace", other.gateway, "lladdr", other.gateway_mac, "dev", "eth0")
        client.sendto(b"lie", (other.gateway, 9000))
        liar.ip("link", "set", "eth0", "address", other.mac)
        client.sendto(b"truth", (other.gateway, 9000))
        assert host.recv(10) == b"truth"
        client.sendto(b"hello", (endpoint.ip, 9001))
        assert neighbour.recv(10) == b"hello"


def test_container_that_routes_for_others_may_pass_their_packets_on(site: Site) -> None:
    """What the host itself routes to a container, a VPN's network for one, may answer through it."""
    container, endpoint = site.container(site.network())
    subprocess.run(["ip", "route", "add", "10.99.0.0/24", "via", endpoint.ip], check=True)
    container.ip("addr", "add", "10.99.0.1/32", "dev", "eth0")
    with udp("0.0.0.0", 9000) as host, container.udp("10.99.0.1", 0) as client:
        client.sendto(b"hello", (HOST_IP, 9000))
        assert host.recv(10) == b"hello"


def test_container_interface_is_named_and_addressed_as_the_endpoint_says(site: Site) -> None:
    """eth0 in the container has the endpoint's MAC and address; the host's end is a port of the bridge."""
    container, endpoint = site.container(site.network())

    def look() -> tuple[str, int, bool, list[str]]:
        with Netlink() as netlink:
            link = netlink.link_get("eth0")
            return link.mac, link.mtu, link.is_up, [address.address for address in netlink.addr_list("eth0")]

    mac, mtu, up, addresses = container.call(look)
    assert (mac, mtu, up, endpoint.ip in addresses) == ("02:42:ac:11:00:02", 1500, True, True)
    with Netlink() as netlink:
        assert netlink.link_get(endpoint.veth).master == netlink.link_get("shoal0").index


def test_connect_and_release_leave_no_neighbour_entry(site: Site) -> None:
    """Host and container know each other's MAC without ARP while the container lives, and only then."""
    network = site.network(ip_forward=False)
    container, endpoint = site.container(network)

    def neighbours() -> str:
        return subprocess.run(["ip", "neigh", "show"], check=True, capture_output=True, text=True).stdout

    assert f"{endpoint.ip} dev shoal0 lladdr {endpoint.mac} PERMANENT" in neighbours()
    assert "172.17.0.1 dev eth0 lladdr 02:42:ac:11:00:01 PERMANENT" in container.call(neighbours)
    with listen("172.17.0.1", 9000) as server:
        exchange(server, container.connect("172.17.0.1", 9000))
    site.run(network.release(endpoint.container_id))
    assert endpoint.ip not in neighbours()


def test_connect_to_a_process_that_is_gone_tells_so_and_can_be_released(site: Site) -> None:
    """ESRCH with the name of the pair; afterwards the address is free again."""
    network = site.network()
    with Namespace() as gone:
        pid = gone.pid
    endpoint = site.run(network.allocate("a" * 64, EndpointRequest(ports=[WEB])))
    with pytest.raises(SyscallError) as caught:
        site.run(network.connect(endpoint, pid))
    assert caught.value.errno == errno.ESRCH
    site.run(network.release("a" * 64))
    assert site.container(network, WEB)[1].ip == endpoint.ip


def test_connect_fifty_at_once_all_work(site: Site) -> None:
    """Concurrent starts get distinct addresses and ports, and the last one answers."""
    network = site.network(ip_forward=False)
    namespaces = [Namespace() for _ in range(50)]

    async def start(number: int, namespace: Namespace) -> object:
        endpoint = await network.allocate(f"{number:064x}", EndpointRequest(ports=[PortRequest("tcp", 80)]))
        await network.connect(endpoint, namespace.pid)
        return endpoint.ip, endpoint.ports[0].host_port

    async def start_all() -> list[object]:
        return await asyncio.gather(*(start(number, each) for number, each in enumerate(namespaces)))

    try:
        assert len(set(site.run(start_all()))) == 50
        last = network.endpoint(f"{49:064x}")
        assert last is not None
        namespaces[49].configure("eth0", f"{last.ip}/16", last.gateway)
        with namespaces[49].listen("0.0.0.0", 80) as server:
            exchange(server, socket.create_connection(("127.0.0.1", last.ports[0].host_port), timeout=3))
    finally:
        for namespace in namespaces:
            namespace.close()


def test_restart_of_a_container_while_its_old_pair_still_exists_works(site: Site) -> None:
    """With the same address and MAC on two ports of the bridge, packets go to the new one from the first on."""
    network = site.network()
    old, endpoint = site.container(network, WEB)
    with old.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))  # the bridge learns the old port
    site.run(network.release(endpoint.container_id))
    again = site.run(network.allocate(endpoint.container_id, EndpointRequest(ports=[WEB])))
    assert (again.ip, again.mac) == (endpoint.ip, endpoint.mac)
    with Namespace() as new:
        site.run(network.connect(again, new.pid))
        assert {endpoint.veth, again.veth} <= link_names()
        new.configure("eth0", f"{again.ip}/16", again.gateway)
        with new.listen("0.0.0.0", 80) as server:
            exchange(server, site.lan.connect(HOST_IP, 8080, timeout_s=0.5))


def test_start_after_a_killed_daemon_keeps_the_living_and_drops_the_dead(site: Site) -> None:
    """A second daemon over the same database holds the ports again, serves the living container and mends the rest."""
    first = site.network()
    container, living = site.container(first, WEB)
    ended, dead = site.container(first, PortRequest("udp", 53, "0.0.0.0", range(5353, 5354)))
    site.end(ended)
    first._ports.close()  # what the kernel does with a killed daemon's sockets
    nft("add", "element", "inet", "shoal", "published_any", "{ tcp . 1234 : 172.17.0.99 . 1 }")

    second = site.network()
    site.run(second.release(dead.container_id))

    assert second.inspect().endpoints == (living,)
    table = nft("list", "table", "inet", "shoal")
    assert "1234" not in table
    assert "5353" not in table
    with pytest.raises(OSError, match="in use"):
        listen("0.0.0.0", 8080)
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))
    assert site.container(second)[1].ip == dead.ip


def test_start_after_the_bridge_was_deleted_makes_it_anew(site: Site) -> None:
    """Somebody's `ip link del` costs running containers their network, but not the next ones."""
    network = site.network()
    subprocess.run(["ip", "link", "del", "shoal0"], check=True)
    site.run(network.start())
    container, _ = site.container(network, WEB)
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))


def test_start_twice_changes_nothing(site: Site) -> None:
    """start() is idempotent: same subnet, same table, endpoints kept."""
    network = site.network()
    container, endpoint = site.container(network, WEB)
    before = network.inspect()
    assert site.run(network.start()) == []
    assert network.inspect() == before
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, socket.create_connection(("127.0.0.1", 8080), timeout=3))
    assert endpoint == network.endpoint(endpoint.container_id)


def test_start_when_the_name_belongs_to_another_kind_of_link_is_a_conflict(site: Site) -> None:
    """A foreign interface of the bridge's name is left alone."""
    subprocess.run(["ip", "link", "add", "sh-ae3f4d5b", "type", "veth"], check=True)
    try:
        config = BridgeConfig(bridge="sh-ae3f4d5b", table="sh-ae3f4d5b", ip_forward=False)
        network = BridgeNetwork(config, site.database)
        with pytest.raises(Conflict) as caught:
            site.run(network.start())
        assert caught.value.what == "the interface sh-ae3f4d5b exists and is not a bridge"
        with pytest.raises(Forbidden):
            site.run(network.claim())
        site.run(network.stop(remove=True))
        assert "sh-ae3f4d5b" in link_names()
    finally:
        subprocess.run(["ip", "link", "del", "sh-ae3f4d5b"], check=True)


def test_bridge_of_the_operator_is_used_as_it_is_and_kept(site: Site) -> None:
    """`--bridge NAME`: its address is the subnet, it must be there, and stopping leaves it with all it had."""
    config = BridgeConfig(bridge="op0", table="sh-ae3f4d5b", ip_forward=False, adopted=True)
    network = BridgeNetwork(config, site.database)
    with pytest.raises(InvalidArgument, match="bridge device with non default name op0 must be created manually"):
        site.run(network.start())
    subprocess.run(["ip", "link", "add", "op0", "type", "bridge"], check=True)
    try:
        with pytest.raises(InvalidArgument, match="the bridge op0 has no IPv4 address"):
            site.run(network.start())
        subprocess.run(["ip", "address", "add", "10.9.8.1/24", "dev", "op0"], check=True)
        site.run(network.start())
        assert (network.inspect().subnet, network.inspect().gateway) == ("10.9.8.0/24", "10.9.8.1")
        container, endpoint = site.container(network, PortRequest("tcp", 80, host_ports=range(8080, 8081)))
        assert endpoint.ip == "10.9.8.2"
        with container.listen("0.0.0.0", 80) as server:
            exchange(server, socket.create_connection(("127.0.0.1", 8080), timeout=3))
        site.end(container)
        site.run(network.stop(remove=True))
        shown = subprocess.run(["ip", "-o", "-4", "address", "show", "op0"], check=True, capture_output=True, text=True)
        assert "10.9.8.1/24" in shown.stdout
    finally:
        subprocess.run(["ip", "link", "del", "op0"], check=True)


def test_start_avoids_what_the_host_routes(site: Site) -> None:
    """A route over 172.17 moves the default bridge to the next range."""
    subprocess.run(["ip", "route", "add", "172.17.128.0/17", "via", LAN_IP], check=True)
    assert site.network().inspect().subnet == "172.18.0.0/16"


def test_start_after_a_reboot_chooses_anew_if_the_subnet_is_taken(site: Site) -> None:
    """Endpoints of a former life don't hold a subnet that the host meanwhile routes elsewhere."""
    first = site.network()
    site.run(first.allocate("a" * 64))
    site.run(first.stop(remove=False))
    nft("delete", "table", "inet", "shoal")
    subprocess.run(["ip", "link", "del", "shoal0"], check=True)
    subprocess.run(["ip", "route", "add", "172.17.0.0/16", "via", LAN_IP], check=True)
    second = site.network()
    assert second.inspect().subnet == "172.18.0.0/16"
    assert "dropped the endpoint" in site.notes[-1]
    assert second.inspect().endpoints == ()


def test_start_with_a_bip_uses_it(site: Site) -> None:
    """`--bip` sets gateway, subnet and the containers' addresses."""
    network = site.network(bip="10.9.8.1/28")
    container, endpoint = site.container(network, WEB)
    assert (endpoint.ip, endpoint.prefix, endpoint.gateway) == ("10.9.8.2", 28, "10.9.8.1")
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))


def test_start_with_another_bip_waits_for_the_running_containers(site: Site) -> None:
    """A running container keeps its address; without one the bridge takes the new one and drops the old."""
    first = site.network()
    _, endpoint = site.container(first)
    first._ports.close()
    second = BridgeNetwork(BridgeConfig.for_daemon("/run/shoal", bip="10.9.8.1/24"), site.database)
    assert "waits" in site.run(second.start())[0]
    assert second.inspect().gateway == "172.17.0.1"
    site.run(second.release(endpoint.container_id))
    assert site.run(second.start()) == ["took the address 172.17.0.1/16 from the bridge shoal0"]
    assert second.inspect().gateway == "10.9.8.1"
    site.run(second.stop(remove=False))


def test_two_daemons_side_by_side_have_subnets_and_tables_of_their_own(site: Site) -> None:
    """Each publishes its port; when one goes, with all its traces, the other works on."""
    first, second = site.network(), site.network("/run/other")
    assert first.inspect().subnet != second.inspect().subnet
    assert first.inspect().bridge != second.inspect().bridge
    container, _ = site.container(first, WEB)
    other, _ = site.container(second, PortRequest("tcp", 80, "0.0.0.0", range(8081, 8082)))
    with container.listen("0.0.0.0", 80) as server, other.listen("0.0.0.0", 80) as other_server:
        exchange(server, site.lan.connect(HOST_IP, 8080))
        exchange(other_server, site.lan.connect(HOST_IP, 8081))
        exchange(other_server, container.connect(HOST_IP, 8081))
        site.run(second.stop(remove=True))
        assert second.inspect().bridge not in link_names()
        exchange(server, site.lan.connect(HOST_IP, 8080))
    assert read_sysctl("net.ipv4.ip_forward") == "1"


def test_stop_with_remove_leaves_foreign_tables_as_they_were(site: Site) -> None:
    """Another program's tables come through start, publish and stop unchanged."""
    nft("add table inet foreign; add chain inet foreign c { type filter hook forward priority 5; }")
    try:
        before = nft("list", "ruleset")
        network = site.network()
        site.container(network, WEB)
        assert nft("list", "table", "inet", "foreign") in nft("list", "ruleset")
        site.run(network.stop(remove=True))
        assert nft("list", "ruleset") == before
        assert "shoal0" not in link_names()
        assert read_sysctl("net.ipv4.ip_forward") == "0"
    finally:
        nft("delete", "table", "inet", "foreign")


def test_mend_after_the_whole_ruleset_was_flushed_publishes_again(site: Site) -> None:
    """A firewall's reload that flushes everything costs the published ports only until the next look."""
    network = site.network()
    container, _ = site.container(network, WEB)
    nft("flush", "ruleset")
    with container.listen("0.0.0.0", 80) as server:
        with pytest.raises(ConnectionRefusedError):
            site.lan.connect(HOST_IP, 8080)
        assert site.run(network.mend()) == ["put the firewall table shoal back"]
        exchange(server, site.lan.connect(HOST_IP, 8080))
        assert site.run(network.mend()) == []


def test_watch_notices_a_foreign_flush_and_mends(site: Site) -> None:
    """The kernel tells of the flush, and the table comes back by itself."""
    network = site.network()
    reports: asyncio.Queue[str] = asyncio.Queue()

    async def scenario() -> str:
        watcher = asyncio.create_task(network.watch(reports.put_nowait))
        await asyncio.sleep(0)  # let it subscribe
        endpoint = await network.allocate("a" * 64, EndpointRequest(ports=[WEB]))
        with Namespace() as namespace:
            await network.connect(endpoint, namespace.pid)
        await network.release("a" * 64)
        await asyncio.to_thread(nft, "flush", "ruleset")
        try:
            return await asyncio.wait_for(reports.get(), 5)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    assert site.run(scenario()) == "put the firewall table shoal back"
    assert reports.empty()


def test_connect_after_the_ruleset_was_flushed_publishes_old_and_new_ports(site: Site) -> None:
    """The next container's start finds the table gone and puts it back whole."""
    network = site.network()
    container, _ = site.container(network, WEB)
    nft("flush", "ruleset")
    site.container(network, PortRequest("tcp", 80, "0.0.0.0", range(8081, 8082)))
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))


def test_start_beside_dockers_forward_policy_goes_through_docker_user(site: Site) -> None:
    """With FORWARD DROP the LAN still reaches the port by two accepts in DOCKER-USER, which go at the end."""
    iptables("-P", "FORWARD", "DROP")
    try:
        iptables("-N", "DOCKER-USER")
        iptables("-A", "DOCKER-USER", "-j", "RETURN")
        iptables("-A", "FORWARD", "-j", "DOCKER-USER")
        before = iptables("-S")
        network = site.network()
        container, _ = site.container(network, WEB)
        with container.listen("0.0.0.0", 80) as server:
            exchange(server, site.lan.connect(HOST_IP, 8080))
        with site.lan.listen(LAN_IP, 9000) as server:
            exchange(server, container.connect(LAN_IP, 9000))
        assert iptables("-S").count("-A DOCKER-USER -o shoal0") == iptables("-S").count("-A DOCKER-USER -i shoal0") == 1
        assert site.run(network.mend()) == []
        assert iptables("-S").count("-A DOCKER-USER -o shoal0") == iptables("-S").count("-A DOCKER-USER -i shoal0") == 1
        site.run(network.stop(remove=True))
        assert iptables("-S") == before
    finally:
        nft("delete", "table", "ip", "filter")


def test_start_beside_a_forward_policy_without_docker_user_warns(site: Site) -> None:
    """Where nobody leaves room for others, shoal says what is dropped and what allows it."""
    iptables("-P", "FORWARD", "DROP")
    try:
        network = BridgeNetwork(BridgeConfig.for_daemon("/run/shoal"), site.database)
        warnings = site.run(network.start())
        assert "a foreign firewall drops forwarded packets" in warnings[0]
        assert "iptables -I FORWARD -i shoal0 -j ACCEPT" in warnings[0]
        site.run(network.stop(remove=True))
    finally:
        nft("delete", "table", "ip", "filter")


def test_start_beside_a_legacy_forward_policy_goes_through_docker_user(site: Site) -> None:
    """The same through iptables-legacy, the older framework in the kernel."""
    iptables("-P", "FORWARD", "DROP", program="iptables-legacy")
    try:
        iptables("-N", "DOCKER-USER", program="iptables-legacy")
        iptables("-A", "FORWARD", "-j", "DOCKER-USER", program="iptables-legacy")
        before = iptables("-S", program="iptables-legacy")
        network = site.network()
        container, _ = site.container(network, WEB)
        with container.listen("0.0.0.0", 80) as server:
            exchange(server, site.lan.connect(HOST_IP, 8080))
        site.run(network.mend())
        assert iptables("-S", program="iptables-legacy").count("-A DOCKER-USER") == 2
        site.run(network.stop(remove=True))
        assert iptables("-S", program="iptables-legacy") == before
    finally:
        iptables("-P", "FORWARD", "ACCEPT", program="iptables-legacy")


def test_mend_after_docker_came_later_adds_the_accepts(site: Site) -> None:
    """dockerd that starts after shoald sets its policy; the next look opens the way again."""
    network = site.network()
    container, _ = site.container(network, WEB)
    iptables("-P", "FORWARD", "DROP")
    try:
        iptables("-N", "DOCKER-USER")
        iptables("-A", "FORWARD", "-j", "DOCKER-USER")
        with container.listen("0.0.0.0", 80) as server:
            with pytest.raises(TimeoutError):
                site.lan.connect(HOST_IP, 8080, timeout_s=0.3)
            assert site.run(network.mend()) == []
            exchange(server, site.lan.connect(HOST_IP, 8080))
        site.run(network.stop(remove=True))
    finally:
        nft("delete", "table", "ip", "filter")


def iptables(*arguments: str, program: str = "iptables-nft") -> str:
    """The output of iptables in this thread's namespace."""
    command = [program, "-w", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
