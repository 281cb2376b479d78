"""No container passes for another one of its network, or for the gateway, whatever frames it makes itself."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

import pytest

from shoal.linux.netlink import Netlink
from shoal.network.bridge import BridgeNetwork
from shoal.network.driver import EndpointRequest
from shoal.network.endpoint import Endpoint, default_mac
from shoal.network.ipam6 import link_local
from tests.kernel.network.conftest import Make, Site
from tests.kernel.network.namespaces import Namespace, exchange, nft, write_sysctl

pytestmark = pytest.mark.root
SHORT_S = 0.4
PORT = 9000
ARP, IPV4, IPV6, VLAN, PROVIDER_VLAN = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8
ALL_NODES = "33:33:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
Tag = Callable[[bytes], bytes]


def packed(mac: str) -> bytes:
    """The bytes of a MAC."""
    return bytes.fromhex(mac.replace(":", ""))


def send(
    sender: Namespace, source: str, target: str, kind: int, payload: bytes, tag: Tag = lambda frame: frame
) -> None:
    """Put a frame on the wire of a container, which `tag` may still change from its type on."""
    frame = packed(target) + packed(source) + tag(struct.pack(">H", kind) + payload)

    def work() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            raw.send(frame)

    sender.call(work)


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source: str, target: str) -> bytes:
    """An IPv4 packet with a UDP datagram to PORT; without a checksum, which UDP allows."""
    udp = struct.pack(">HHHH", 5, PORT, 8 + 4, 0) + b"ping"
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, target))
    )
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp


def icmp6(source: str, target: str, body: bytes) -> bytes:
    """An IPv6 packet with an ICMPv6 message, of the hop limit that neighbour discovery asks for."""
    addresses = IPv6Address(source).packed + IPv6Address(target).packed
    body = body[:2] + struct.pack(">H", checksum(addresses + struct.pack(">II", len(body), 58) + body)) + body[4:]
    return struct.pack(">IHBB", 6 << 28, len(body), 58, 255) + addresses + body


def arp(mac: str, address: str, asked: str, hardware: int = 1) -> bytes:
    """An ARP request of who has `asked`, by one that says to be `address` at `mac`."""
    head = struct.pack(">HHBBH", hardware, IPV4, 6, 4, 1)
    return head + packed(mac) + socket.inet_aton(address) + bytes(6) + socket.inet_aton(asked)


def advertisement(mac: str, address: str) -> bytes:
    """A neighbour advertisement, unasked, that overrides what its readers know."""
    return struct.pack(">BBHI", 136, 0, 0, 0x20000000) + IPv6Address(address).packed + b"\x02\x01" + packed(mac)


def neighbours(machine: Namespace) -> str:
    """Whom a container knows at which MAC."""
    return machine.ip("neigh", "show", "dev", "eth0")


class Three:
    """A victim, an attacker and a bystander on one network."""

    def __init__(self, site: Site, network: BridgeNetwork) -> None:
        self.victim, self.attacked = site.container(network)
        self.attacker, self.own = site.container(network)
        self.bystander, self.other = site.container(network)

    def hears(self, source: str, mac: str, tag: Tag = lambda frame: frame) -> bool:
        """Whether the bystander gets a datagram that the attacker sends from these addresses."""
        with self.bystander.udp("0.0.0.0", PORT) as listening:
            listening.settimeout(SHORT_S)
            send(self.attacker, mac, self.other.mac, IPV4, datagram(source, self.other.ip), tag)
            try:
                return bool(listening.recv(100))
            except TimeoutError:
                return False

    def is_taken_for(self, address: str) -> bool:
        """Whether a bystander that knew the MAC of `address` now knows the attacker's, after an ARP request of its."""
        self.bystander.ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "stale")
        for hardware in (1, 6):
            send(self.attacker, self.own.mac, BROADCAST, ARP, arp(self.own.mac, address, self.other.ip, hardware))
        return f"{address} lladdr {self.own.mac}" in neighbours(self.bystander)


@pytest.fixture
def three(site: Site) -> Three:
    """On the default network."""
    return Three(site, site.network())


def vlan_zero(frame: bytes) -> bytes:
    """Tagged with a priority and no VLAN."""
    return struct.pack(">HH", VLAN, 0xE000) + frame


def provider_vlan_zero(frame: bytes) -> bytes:
    """The same in a provider's tag."""
    return struct.pack(">HH", PROVIDER_VLAN, 0) + frame


def both(frame: bytes) -> bytes:
    """One tag in the other."""
    return provider_vlan_zero(vlan_zero(frame))


def test_datagram_from_an_address_of_another_is_not_heard(three: Three) -> None:
    """Neither with the attacker's MAC nor with the victim's; from its own address, and one of nobody's, it is."""
    assert three.hears(three.own.ip, three.own.mac)
    assert three.hears("10.99.99.99", three.own.mac)
    assert not three.hears(three.attacked.ip, three.own.mac)
    assert not three.hears(three.attacked.ip, three.attacked.mac)
    assert not three.hears(three.own.gateway, three.own.mac)


@pytest.mark.parametrize("tag", [vlan_zero, provider_vlan_zero, both])
def test_tag_that_its_receiver_passes_over_hides_nothing(three: Three, tag: Tag) -> None:
    """VLAN 0 is no VLAN: the kernel reads the packet inside as any other."""
    assert not three.hears(three.attacked.ip, three.own.mac, tag)


def test_arp_for_an_address_of_another_is_not_believed(three: Three) -> None:
    """A request tells who asks: nobody learns the victim's address, nor the gateway's, from the attacker."""
    assert three.is_taken_for(three.own.ip)
    assert not three.is_taken_for(three.attacked.ip)
    assert not three.is_taken_for(three.own.gateway)


def test_address_that_a_container_gives_itself_is_not_answered_for(three: Three) -> None:
    """`ip address add` of the victim's address and the gateway's: who asks for them finds whom they belong to."""
    three.attacker.ip("address", "add", f"{three.attacked.ip}/16", "dev", "eth0")
    three.attacker.ip("address", "add", f"{three.own.gateway}/16", "dev", "eth0")
    three.bystander.ip("neigh", "flush", "dev", "eth0")
    with three.victim.listen("0.0.0.0", 80) as server:
        exchange(server, three.bystander.connect(three.attacked.ip, 80))
    assert f"{three.attacked.ip} lladdr {three.attacked.mac}" in neighbours(three.bystander)
    with socket.create_server((three.own.gateway, 81)) as server:
        exchange(server, three.bystander.connect(three.own.gateway, 81))
    assert three.own.mac not in neighbours(three.bystander)


def test_floating_address_goes_from_one_container_to_another(three: Three) -> None:
    """One of nobody's may be taken, given up, and taken by the next, as failover pairs do; others reach it."""
    floating = three.own.ip.rpartition(".")[0] + ".200"
    for holder in (three.attacker, three.victim):
        holder.ip("address", "add", f"{floating}/16", "dev", "eth0")
        three.bystander.ip("neigh", "flush", "dev", "eth0")
        with holder.listen(floating, 80) as server:
            exchange(server, three.bystander.connect(floating, 80))
        holder.ip("address", "del", f"{floating}/16", "dev", "eth0")


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
def test_machine_behind_a_container_is_heard(three: Three, bridge_netfilter: str) -> None:
    """A container may route for others: their addresses are nobody's, whether iptables sees bridged packets or not."""
    write_sysctl("net.bridge.bridge-nf-call-iptables", bridge_netfilter)
    three.attacker.ip("address", "add", "10.200.0.1/24", "dev", "lo")
    three.bystander.ip("route", "add", "10.200.0.0/24", "via", three.own.ip)
    with three.attacker.listen("10.200.0.1", 80) as server:
        exchange(server, three.bystander.connect("10.200.0.1", 80))


@pytest.fixture
def three6(site: Site, make: Make) -> Three:
    """On a network with IPv6."""
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", "0")
    return Three(site, make("one", subnet6="fd00:77::/64"))


def is_taken_for6(three: Three, address: str) -> bool:
    """Whether a bystander that knew the MAC of `address` knows the attacker's after an advertisement of its."""
    found = []
    for source in (link_local(three.own.mac), address):
        three.bystander.ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "stale")
        told = icmp6(source, "ff02::1", advertisement(three.own.mac, address))
        send(three.attacker, three.own.mac, ALL_NODES, IPV6, told)
        found.append(f"{address} lladdr {three.own.mac}" in neighbours(three.bystander))
    return any(found)


def test_advertisement_for_an_address_of_another_is_not_believed(three6: Three) -> None:
    """Global or of the link, a container's or the gateway's, from whatever source; its own, and a floating one, are."""
    assert is_taken_for6(three6, three6.own.ip6)
    assert is_taken_for6(three6, "fd00:77::abcd")
    assert not is_taken_for6(three6, three6.attacked.ip6)
    assert not is_taken_for6(three6, link_local(three6.attacked.mac))
    assert not is_taken_for6(three6, three6.own.gateway6)
    assert not is_taken_for6(three6, link_local(default_mac(three6.own.gateway)))


def test_packet_from_an_ipv6_address_of_another_is_not_heard(three6: Three) -> None:
    """An echo request in the victim's name gets no answer, which one in the attacker's own name gets."""

    def is_answered(source: str) -> bool:
        request = struct.pack(">BBHHH", 128, 0, 0, 7, 7)
        receiver = three6.attacker if source == three6.own.ip6 else three6.victim
        with receiver.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(IPV6))) as raw:
            raw.settimeout(SHORT_S)
            send(three6.attacker, three6.own.mac, three6.other.mac, IPV6, icmp6(source, three6.other.ip6, request))
            with contextlib.suppress(TimeoutError):
                while True:
                    frame = raw.recv(2000)
                    # Of all that is sent there: the answer, or the bystander's question for the MAC to send it to.
                    asked = frame[62:78] if frame[54] == 135 else frame[38:54]
                    if frame[54] in (129, 135) and asked == IPv6Address(source).packed:
                        return True
        return False

    assert is_answered(three6.own.ip6)
    assert not is_answered(three6.attacked.ip6)


def test_guard_is_put_back_after_a_flush_and_found_by_the_next_daemon(site: Site) -> None:
    """The watch sees it gone; a daemon that starts beside running containers guards theirs."""
    network = site.network()
    three = Three(site, network)
    nft("flush", "ruleset")
    assert three.hears(three.attacked.ip, three.own.mac)
    assert site.run(network.mend()) == ["put the firewall table shoal back"]
    assert not three.hears(three.attacked.ip, three.own.mac)
    nft("delete", "table", "bridge", "shoal")
    assert site.run(network.mend()) == ["put the firewall table shoal back"]
    site.run(network.stop(remove=False))
    nft("flush", "ruleset")
    site.run(network.start())
    assert not three.hears(three.attacked.ip, three.own.mac)
    assert three.hears(three.own.ip, three.own.mac)


def test_released_address_is_anybodys(site: Site, make: Make) -> None:
    """Nothing is left of a container that has gone, of either family, nor of a network."""
    network = make("one", subnet6="fd00:77::/64")
    before = nft("list", "table", "bridge", "shoal")
    container, endpoint = site.container(network)
    assert endpoint.ip in nft("list", "table", "bridge", "shoal")
    site.end(container)
    site.run(network.release(endpoint.container_id))
    assert nft("list", "table", "bridge", "shoal") == before
    site.run(network.stop(remove=True))
    assert "10.77." not in nft("list", "table", "bridge", "shoal")


def test_container_connected_while_it_runs_is_guarded(site: Site, make: Make) -> None:
    """Its address in the network that it came to is its own there."""
    network = make("one")
    three = Three(site, network)
    joining = site.process()
    with contextlib.ExitStack() as stack:
        endpoint: Endpoint = site.run(network.allocate("f" * 64, EndpointRequest()))
        stack.callback(lambda: site.run(network.release("f" * 64)))
        assert three.hears(endpoint.ip, three.own.mac)
        site.run(network.plug(endpoint, joining.pid))
        assert not three.hears(endpoint.ip, three.own.mac)


def test_link_local_address_that_was_asked_for_is_guarded_too(site: Site, make: Make) -> None:
    """`--link-local-ip`: nobody else's from when its container joins until it leaves."""
    network = make("one")
    three = Three(site, network)
    with contextlib.ExitStack() as stack:
        request = EndpointRequest(link_local=("169.254.8.8/16",))
        endpoint: Endpoint = site.run(network.allocate("f" * 64, request))
        release = stack.enter_context(contextlib.ExitStack())
        release.callback(lambda: site.run(network.release("f" * 64)))
        site.run(network.plug(endpoint, site.process().pid))
        assert not three.hears("169.254.8.8", three.own.mac)
        release.close()
        assert three.hears("169.254.8.8", three.own.mac)


def test_ports_of_other_bridges_are_not_looked_at(site: Site) -> None:
    """A bridge of somebody else's may have the same addresses: nothing is dropped on it."""
    # Else iptables, and with it our masquerading, sees what passes that bridge.
    write_sysctl("net.bridge.bridge-nf-call-iptables", "0")
    three = Three(site, site.network())
    with Netlink() as netlink, Namespace() as one, Namespace() as two:
        netlink.link_add_bridge("br-foreign", mac=None, mtu=None)
        netlink.link_set("br-foreign", up=True)
        for number, (machine, address) in enumerate(((one, three.attacked.ip), (two, "10.1.1.1"))):
            netlink.link_add_veth(f"veth{number}", "eth0", peer_netns_pid=machine.pid, master="br-foreign")
            machine.configure("eth0", f"{address}/8", None)
        two.ip("route", "add", three.attacked.ip, "dev", "eth0")
        one.ip("route", "replace", "10.1.1.1", "dev", "eth0")
        with two.listen("0.0.0.0", 80) as server:
            exchange(server, one.connect("10.1.1.1", 80))
        netlink.link_del("br-foreign")


def test_many_containers_are_guarded_after_a_flush(site: Site) -> None:
    """More than one message takes: all are there again."""
    network = site.network()

    async def reserve() -> None:
        for number in range(1200):
            endpoint = await network.allocate(f"{number:064x}")
            await network._host.run(lambda kernel, known=endpoint: kernel.guard.add(network._setup.claims_of(known)))
        nft("flush", "ruleset")
        await network.mend()

    site.run(reserve())
    assert nft("list", "set", "bridge", "shoal", "pairs").count("02:42:") == 1200
