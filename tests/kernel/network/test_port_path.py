"""Faults on the path to a published port, brought about for real: each is named, and no healthy port is blamed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from shoal.network.bridge import BridgeNetwork
from shoal.network.endpoint import Endpoint, PublishedPort
from shoal.network.port_facts import look_inside, look_outside
from shoal.network.port_path import first_fault
from shoal.network.port_question import Asked, Finding
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import Namespace, nft, write_sysctl

pytestmark = pytest.mark.root

BRIDGE, TABLE = "shoal0", "shoal"


def ip(*words: str) -> None:
    """Run ip(8) on the host."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Published:
    """A container whose port 80 is published at 8080, and a program that listens there."""

    def __init__(self, site: Site, stack: ExitStack, *, listen: str = "0.0.0.0", host_ip: str = "0.0.0.0") -> None:
        self.site = site
        self.network: BridgeNetwork = site.network()
        request = PortRequest("tcp", 80, host_ip, range(8080, 8081))
        self.container: Namespace
        self.endpoint: Endpoint
        self.container, self.endpoint = site.container(self.network, request)
        self.server = stack.enter_context(self.container.listen(listen, 80)) if listen else None

    def asked(self) -> Asked:
        """The question about port 80."""
        end = self.endpoint
        return Asked(
            name="web",
            protocol="tcp",
            port=80,
            network="bridge",
            bridge=BRIDGE,
            ip=end.ip,
            gateway=end.gateway,
            mac=end.mac,
            veth=end.veth,
            published=end.ports,
        )

    def fault(self, **changes: object) -> Finding | None:
        """The verdict, with the kernel as it is now."""
        asked = replace(self.asked(), **changes)  # type: ignore[arg-type]
        inside = look_inside(asked, self.container.pid)
        ruleset = self.site.run(self.network._host.run(lambda kernel: kernel.nft.read()))
        return first_fault(asked, inside, look_outside(asked, ruleset, TABLE))

    def cause(self, **changes: object) -> str:
        """The verdict's word; "" where nothing is wrong."""
        found = self.fault(**changes)
        assert found is None or (found.sentence and found.hint)
        return found.cause if found else ""

    def answers_the_lan(self) -> bool:
        """Whether a machine of the LAN really gets through."""
        try:
            client = self.site.lan.connect(HOST_IP, 8080, timeout_s=0.5)
        except OSError:
            return False
        assert self.server is not None
        while True:  # the connections that the inquiry has tried come first
            accepted, peer = self.server.accept()
            accepted.close()
            if peer[0] == LAN_IP:
                break
        client.close()
        return True


def inside(published: Published, *words: str) -> None:
    """Run ip(8) in the container."""
    published.container.ip(*words)


def foreign(rules: str) -> Callable[[Published], None]:
    """Somebody else's nftables rules."""

    def load(_: Published) -> None:
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, capture_output=True)

    return load


def iptables(program: str, *rules: str) -> Callable[[Published], None]:
    """Somebody else's rules by iptables."""

    def load(_: Published) -> None:
        for rule in rules:
            subprocess.run([program, "-w", "5", *rule.split()], check=True, capture_output=True)

    return load


def forget_table(name: str) -> None:
    """Take one table away, as a reload of another firewall would."""
    nft("delete", "table", "inet", name)


FORWARD = "type filter hook forward priority 0; policy"
FAULTS: dict[str, tuple[str, Callable[[Published], None]]] = {
    "address gone inside": ("no-address", lambda it: inside(it, "addr", "flush", "dev", "eth0")),
    "interface gone inside": ("no-interface", lambda it: inside(it, "link", "del", "eth0")),
    "interface down inside": ("interface-down", lambda it: inside(it, "link", "set", "eth0", "down")),
    "another MAC inside": ("mac-changed", lambda it: inside(it, "link", "set", "eth0", "address", "02:00:00:00:00:99")),
    "no default route inside": ("no-default-route", lambda it: inside(it, "route", "del", "default")),
    "another default route inside": (
        "default-route-elsewhere",
        lambda it: inside(it, "route", "replace", "default", "via", "172.17.0.77", "onlink", "dev", "eth0"),
    ),
    "bridge down": ("bridge-down", lambda _: ip("link", "set", BRIDGE, "down")),
    "bridge without its address": ("bridge-address", lambda _: ip("addr", "flush", "dev", BRIDGE)),
    "veth out of the bridge": ("veth-unplugged", lambda it: ip("link", "set", it.endpoint.veth, "nomaster")),
    "veth down": ("veth-down", lambda it: ip("link", "set", it.endpoint.veth, "down")),
    "a route of a VPN": (
        "host-route",
        lambda it: ip("route", "add", f"{it.endpoint.ip}/32", "via", LAN_IP, "src", HOST_IP),
    ),
    "no forwarding": ("ip-forward-off", lambda _: write_sysctl("net.ipv4.ip_forward", "0")),
    "no forwarding of the uplink": (
        "interface-forwarding-off",
        lambda _: write_sysctl("net.ipv4.conf.eth0.forwarding", "0"),
    ),
    "no route_localnet": (
        "route-localnet-off",
        lambda _: write_sysctl(f"net.ipv4.conf.{BRIDGE}.route_localnet", "0"),
    ),
    "table gone": ("table-gone", lambda _: forget_table(TABLE)),
    "chain flushed": ("table-gone", lambda _: void(nft("flush", "chain", "inet", TABLE, "publish"))),
    "element gone": ("element-gone", lambda _: void(nft("flush", "map", "inet", TABLE, "published_any"))),
    "element elsewhere": ("element-elsewhere", lambda it: divert(it)),
    "foreign policy drop": ("foreign-firewall", foreign(f"table inet x {{ chain f {{ {FORWARD} drop; }}; }}")),
    "foreign drop by port": (
        "foreign-firewall",
        foreign(f"table ip x {{ chain f {{ {FORWARD} accept; iifname eth0 tcp dport {{ 22, 80-90 }} drop; }}; }}"),
    ),
    "foreign reject behind a jump": (
        "foreign-firewall",
        foreign(
            f"table inet x {{ chain deny {{ reject; }}; chain f {{ {FORWARD} accept;"
            f" ct state established,related accept; oifname {BRIDGE} jump deny; }}; }}"
        ),
    ),
    "foreign drop of the answers": (
        "foreign-firewall",
        foreign(f"table inet x {{ chain f {{ {FORWARD} drop; oifname {BRIDGE} accept; }}; }}"),
    ),
    "foreign drop before translation": (
        "foreign-firewall",
        foreign(
            "table inet x { chain p { type filter hook prerouting priority -150; policy accept;"
            " tcp dport 8080 counter drop; }; }"
        ),
    ),
    "foreign redirection": (
        "foreign-translation",
        foreign(
            "table ip x { chain p { type nat hook prerouting priority -110; policy accept;"
            " tcp dport 8080 redirect to :9; }; }"
        ),
    ),
    "iptables policy": ("foreign-firewall", iptables("iptables-nft", "-P FORWARD DROP")),
    "iptables rule with its own matches": (
        "foreign-firewall",
        iptables("iptables-nft", "-A FORWARD -i eth0 -p tcp --dport 80 -m conntrack --ctstate NEW -j DROP"),
    ),
    "iptables-legacy rule": ("foreign-firewall", iptables("iptables-legacy", "-A FORWARD -o shoal0 -j REJECT")),
    "rules inside the container": ("no-answer", lambda it: deny_inside(it)),
}


def void(_: object) -> None:
    """Nothing, of something."""


def divert(it: Published) -> None:
    """Let the map's element lead to another address."""
    nft("delete", "element", "inet", TABLE, "published_any", "{ tcp . 8080 }")
    nft("add", "element", "inet", TABLE, "published_any", "{ tcp . 8080 : 172.17.0.99 . 80 }")
    assert it.endpoint.ip != "172.17.0.99"


def deny_inside(it: Published) -> None:
    """Rules in the container's own network namespace."""
    rules = "table inet own { chain i { type filter hook input priority 0; policy drop; }; }"
    command = ["nsenter", f"--net=/proc/{it.container.pid}/ns/net", "nft", rules]
    subprocess.run(command, check=True, capture_output=True)


def clear_foreign() -> None:
    """Take the tables of `FAULTS` away, so that the site finds nothing left."""
    listed = nft("list", "tables").splitlines()
    for line in listed:
        if line in ("table inet x", "table ip x", "table ip filter"):
            nft("delete", *line.split())


@pytest.mark.parametrize("name", FAULTS)
def test_path_with_a_fault_is_told_by_its_cause(site: Site, name: str) -> None:
    """Healthy before, the very cause after, and it is a real one: the LAN, or the host, does not get through."""
    cause, break_it = FAULTS[name]
    with ExitStack() as stack:
        stack.callback(clear_foreign)
        it = Published(site, stack)
        assert it.cause() == ""
        assert it.answers_the_lan()
        break_it(it)
        assert it.cause() == cause
        if cause != "route-localnet-off":
            assert not it.answers_the_lan()


@pytest.mark.parametrize(
    ("listen", "cause"),
    [("", "no-listener"), ("127.0.0.1", "loopback-listener"), ("127.0.0.2", "loopback-listener")],
)
def test_path_listener_that_nobody_reaches_is_told(site: Site, listen: str, cause: str) -> None:
    """No listener, or one at the container's own loopback."""
    with ExitStack() as stack:
        assert Published(site, stack, listen=listen).cause() == cause


def test_path_listener_at_another_address_is_told(site: Site) -> None:
    """An address that the container has besides, and no published port leads to."""
    with ExitStack() as stack:
        it = Published(site, stack, listen="")
        inside(it, "addr", "add", "10.9.9.9/32", "dev", "eth0")
        stack.enter_context(it.container.listen("10.9.9.9", 80))
        assert it.cause() == "other-address-listener"


def test_path_listener_of_the_other_protocol_is_told(site: Site) -> None:
    """UDP where TCP is asked for."""
    with ExitStack() as stack:
        it = Published(site, stack, listen="")
        stack.enter_context(it.container.udp("0.0.0.0", 80))
        assert it.cause() == "listener-protocol"


@pytest.mark.parametrize(("only", "cause"), [(1, "ipv6-listener"), (0, "")])
def test_path_listener_at_ipv6_is_judged_by_its_kind(site: Site, only: int, cause: str) -> None:
    """One for IPv6 alone is a fault, one that takes IPv4 too is healthy."""

    def listen() -> socket.socket:
        server = socket.socket(socket.AF_INET6)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        server.bind(("::", 80))
        server.listen()
        return server

    with ExitStack() as stack:
        it = Published(site, stack, listen="")
        stack.enter_context(it.container.call(listen))
        assert it.cause() == cause


def test_path_of_what_is_not_published_is_told(site: Site) -> None:
    """Not at all, by another protocol, in an internal network, at an address that the host has not."""
    with ExitStack() as stack:
        it = Published(site, stack)
        assert it.cause(published=()) == "not-published"
        assert it.cause(published=(PublishedPort("udp", 80, "0.0.0.0", 8080),)) == "published-protocol"
        assert it.cause(published=(), internal=True) == "internal-network"


def test_path_to_an_address_that_the_host_has_lost_is_told(site: Site) -> None:
    """Published at an address of the host which it has no more."""
    ip("addr", "add", "198.51.100.7/32", "dev", "eth0")
    with ExitStack() as stack:
        it = Published(site, stack, host_ip="198.51.100.7")
        assert it.cause() == ""
        ip("addr", "del", "198.51.100.7/32", "dev", "eth0")
        assert it.cause() == "host-address-gone"


HEALTHY: dict[str, Callable[[Published], None]] = {
    "a policy that accepts": foreign(f"table inet x {{ chain f {{ {FORWARD} accept; }}; }}"),
    "a drop of another port": foreign(f"table inet x {{ chain f {{ {FORWARD} accept; tcp dport 81 drop; }}; }}"),
    "a drop of another protocol": foreign(
        f"table inet x {{ chain f {{ {FORWARD} accept; meta l4proto udp drop; }}; }}"
    ),
    "a drop of another interface": foreign(f"table inet x {{ chain f {{ {FORWARD} accept; oifname eth7 drop; }}; }}"),
    "a drop of some clients": foreign(
        f"table ip x {{ chain f {{ {FORWARD} accept; ip saddr 203.0.113.0/24 drop; }}; }}"
    ),
    "a drop of what is not translated": foreign(
        f"table inet x {{ chain f {{ {FORWARD} drop; ct status dnat accept; }}; }}"
    ),
    "an accept behind a jump": foreign(
        f"table inet x {{ chain let {{ oifname {BRIDGE} accept; iifname {BRIDGE} accept; }};"
        f" chain f {{ {FORWARD} drop; jump let; }}; }}"
    ),
    "clients of the LAN alone": foreign(
        f"table ip x {{ chain f {{ {FORWARD} drop; ip saddr 192.0.2.0/24 accept; ct state established accept; }}; }}"
    ),
    "a drop on input": foreign(
        "table inet x { chain i { type filter hook input priority 0; policy drop; iifname lo accept;"
        " ct state established accept; }; }"
    ),
    "iptables that accept translated ones": iptables(
        "iptables-nft",
        "-P FORWARD DROP",
        "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    "iptables-legacy with a drop of others": iptables("iptables-legacy", "-A FORWARD -p udp -j DROP"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_path_that_is_healthy_is_not_blamed(site: Site, name: str) -> None:
    """Firewalls of all kinds which let the port through: nothing is wrong, and the LAN does get through."""
    with ExitStack() as stack:
        stack.callback(clear_foreign)
        it = Published(site, stack)
        HEALTHY[name](it)
        assert it.cause() == ""
        assert it.answers_the_lan()
