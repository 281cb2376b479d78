"""The IPv6 path to a published port: its faults are named, and a healthy one is not blamed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from shoal.linux.netlink import Netlink
from shoal.network.port_question import Asked
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import Make, Site
from tests.kernel.network.namespaces import nft, write_sysctl
from tests.kernel.network.test_port_path import Published, clear_foreign, foreign, forget_table, inside, ip, iptables

pytestmark = pytest.mark.root
BRIDGE, TABLE = "br-one", "shoal"
HOST_IP6, LAN_IP6 = "2001:db8::2", "2001:db8::1"
FORWARD = "type filter hook forward priority 0; policy"


class Published6(Published):
    """A container whose port 80 is published at 8080 of both families, and a program that listens there for both."""

    def __init__(self, site: Site, make: Make, stack: ExitStack, *, listen: str = "::", host_ip: str = "") -> None:
        self.site = site
        self.network = make("one", subnet6="fd00:77::/64")
        request = PortRequest("tcp", 80, host_ip or "0.0.0.0", range(8080, 8081), dual=not host_ip)
        self.container, self.endpoint = site.container(self.network, request)
        self.server = stack.enter_context(self.container.listen(listen, 80)) if listen else None

    def asked(self) -> Asked:
        """The question about the IPv6 path."""
        end = self.endpoint
        published = tuple(port for port in end.ports if port.is_ipv6)
        asked = Asked(
            name="web", protocol="tcp", port=80, network="one", bridge=BRIDGE, ip=end.ip6, published=published
        )
        return replace(asked, gateway=end.gateway6, mac=end.mac, veth=end.veth)

    def asked4(self) -> dict[str, object]:
        """What the question about the IPv4 path has otherwise."""
        published = tuple(port for port in self.endpoint.ports if not port.is_ipv6)
        return {"ip": self.endpoint.ip, "gateway": self.endpoint.gateway, "published": published}

    def answers_the_lan(self) -> bool:
        """Whether a machine of the LAN really gets through by IPv6."""
        try:
            self.site.lan.connect(HOST_IP6, 8080, timeout_s=0.5).close()
        except OSError:
            return False
        return True


@pytest.fixture(autouse=True)
def lan6(site: Site) -> None:
    """The host and the LAN have IPv6, and the host has its default route by the LAN's machine."""
    site.lan.ip("-6", "address", "add", f"{LAN_IP6}/64", "dev", "eth0", "nodad")
    with Netlink() as netlink:
        netlink.addr_add("eth0", HOST_IP6, 64)
    ip("-6", "route", "add", "default", "via", LAN_IP6)
    write_sysctl("net.bridge.bridge-nf-call-ip6tables", "0")


FAULTS: dict[str, tuple[str, Callable[[Published], None]]] = {
    "address gone inside": (
        "no-address",
        lambda it: inside(it, "-6", "addr", "flush", "dev", "eth0", "scope", "global"),
    ),
    "no default route inside": ("no-default-route", lambda it: inside(it, "-6", "route", "del", "default")),
    "another default route inside": (
        "default-route-elsewhere",
        lambda it: inside(it, "-6", "route", "replace", "default", "via", "fd00:77::77", "onlink", "dev", "eth0"),
    ),
    "bridge without its address": ("bridge-address", lambda _: ip("-6", "addr", "flush", "dev", BRIDGE)),
    "a route of a VPN": (
        "host-route",
        lambda it: ip("-6", "route", "add", f"{it.endpoint.ip6}/128", "via", LAN_IP6, "src", HOST_IP6),
    ),
    "no forwarding": ("ip-forward-off", lambda _: write_sysctl("net.ipv6.conf.all.forwarding", "0")),
    "table gone": ("table-gone", lambda _: forget_table(TABLE)),
    "element gone": ("element-gone", lambda _: flush_map()),
    "foreign policy drop": ("foreign-firewall", foreign(f"table inet x {{ chain f {{ {FORWARD} drop; }}; }}")),
    "foreign drop by address": (
        "foreign-firewall",
        foreign(f"table inet x {{ chain f {{ {FORWARD} accept; ip6 daddr fd00:77::/64 tcp dport 80 drop; }}; }}"),
    ),
    "foreign drop of IPv6": (
        "foreign-firewall",
        foreign(f"table inet x {{ chain f {{ {FORWARD} accept; meta nfproto ipv6 drop; }}; }}"),
    ),
    "ip6tables policy": ("foreign-firewall", iptables("ip6tables-nft", "-P FORWARD DROP")),
    "ip6tables rule with its own matches": (
        "foreign-firewall",
        iptables("ip6tables-nft", "-A FORWARD -i eth0 -p tcp --dport 80 -m conntrack --ctstate NEW -j DROP"),
    ),
}


def flush_map() -> None:
    """Take the elements of one map away."""
    nft("flush", "map", "inet", TABLE, "published6_any")


def clear() -> None:
    """Take the tables of others away, so that the site finds nothing left."""
    clear_foreign()
    if "table ip6 filter" in nft("list", "tables").splitlines():
        nft("delete", "table", "ip6", "filter")


@pytest.mark.parametrize("name", FAULTS)
def test_path_by_ipv6_with_a_fault_is_told_by_its_cause(site: Site, make: Make, name: str) -> None:
    """Healthy before, the very cause after, and a real one: the LAN does not get through."""
    cause, break_it = FAULTS[name]
    with ExitStack() as stack:
        stack.callback(clear)
        it = Published6(site, make, stack)
        assert it.cause() == ""
        assert it.answers_the_lan()
        break_it(it)
        assert it.cause() == cause
        assert not it.answers_the_lan()


@pytest.mark.parametrize(
    ("listen", "cause"), [("0.0.0.0", "ipv4-listener"), ("::1", "loopback-listener"), ("", "no-listener")]
)
def test_path_by_ipv6_without_a_listener_there_is_told(site: Site, make: Make, listen: str, cause: str) -> None:
    """A program for IPv4 alone is healthy by IPv4, and the fault of the IPv6 path."""
    with ExitStack() as stack:
        it = Published6(site, make, stack, listen=listen)
        assert it.cause() == cause
        if listen == "0.0.0.0":
            assert it.cause(**it.asked4()) == ""


HEALTHY: dict[str, Callable[[Published], None]] = {
    "rules for IPv4 alone": foreign(
        f"table ip x {{ chain f {{ {FORWARD} drop; }}; }}; table inet y {{ chain f {{ {FORWARD} accept;"
        " meta nfproto ipv4 drop; ip daddr 10.0.0.0/8 drop; }; }"
    ),
    "iptables for IPv4 alone": iptables("iptables-nft", "-P FORWARD DROP"),
    "ip6tables that accept translated ones": iptables(
        "ip6tables-nft",
        "-P FORWARD DROP",
        "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    "no IPv4 forwarding": lambda _: write_sysctl("net.ipv4.ip_forward", "0"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_path_by_ipv6_that_is_healthy_is_not_blamed(site: Site, make: Make, name: str) -> None:
    """What concerns IPv4 alone is no fault of this path: the LAN does get through."""
    with ExitStack() as stack:
        stack.callback(clear)
        it = Published6(site, make, stack)
        HEALTHY[name](it)
        if "table inet y" in nft("list", "tables").splitlines():
            stack.callback(lambda: nft("delete", "table", "inet", "y"))
        assert it.cause() == ""
        assert it.answers_the_lan()


def test_port_at_the_hosts_loopback_is_judged_by_what_can_be_translated(site: Site, make: Make) -> None:
    """[::1] leads into a bridge only where iptables does not see what passes it."""
    with ExitStack() as stack:
        it = Published6(site, make, stack, host_ip="::1")
        assert it.cause() == ""
        socket.create_connection(("::1", 8080), timeout=3).close()
        write_sysctl("net.bridge.bridge-nf-call-ip6tables", "1")
        assert it.cause() == "loopback-not-translated"
