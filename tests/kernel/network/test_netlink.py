"""shoal.linux.netlink against the kernel, in namespaces of its own."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from shoal.errors import SyscallError
from shoal.linux.netlink import Netlink
from tests.kernel.network.namespaces import Namespace, inside_new_namespace

pytestmark = pytest.mark.root


@pytest.fixture
def netlink() -> Iterator[Netlink]:
    """A connection in a new namespace with the bridge br0, 10.0.0.1/24."""
    descriptors = len(os.listdir("/proc/self/fd"))
    with inside_new_namespace(), Netlink() as netlink:
        netlink.link_add_bridge("br0", mac="02:42:0a:00:00:01")
        netlink.addr_add("br0", "10.0.0.1", 24)
        netlink.link_set("br0", up=True)
        yield netlink
    assert len(os.listdir("/proc/self/fd")) == descriptors


def list_names() -> list[str]:
    """The interfaces of this thread's namespace."""
    with Netlink() as netlink:
        return [link.name for link in netlink.link_list()]


def up_quietly() -> None:
    """Bring up eth0 of this thread's namespace."""
    with Netlink() as netlink:
        netlink.link_up_quietly("eth0")


def test_link_add_bridge_twice_is_eexist(netlink: Netlink) -> None:
    """A taken name is told with the kernel's errno and the name."""
    with pytest.raises(SyscallError) as caught:
        netlink.link_add_bridge("br0")
    assert caught.value.errno == errno.EEXIST
    assert "RTM_NEWLINK `br0`" in str(caught.value)


def test_link_add_veth_by_pid_and_by_descriptor_puts_the_peer_into_the_namespace(netlink: Netlink) -> None:
    """Both ways of naming a namespace work; the host's end is an up port of the bridge without IPv6 address."""
    bridge = netlink.link_get("br0").index
    with Namespace() as one, Namespace() as two:
        netlink.link_add_veth("ve1", "eth0", peer_netns_pid=one.pid, master="br0", up=False)
        descriptor = os.open(f"/proc/{two.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        netlink.link_add_veth("ve2", "eth0", peer_netns_fd=descriptor, master=bridge, mtu=1400, up=False)
        os.close(descriptor)
        for name, mtu in (("ve1", 1500), ("ve2", 1400)):
            namespace = one if name == "ve1" else two
            namespace.call(up_quietly)
            assert netlink.bridge_port_up(name, hairpin=name == "ve1") == netlink.link_get(name).index
            link = netlink.link_get(name)
            assert (link.kind, link.master, link.is_up, link.mtu) == ("veth", bridge, True, mtu)
            assert netlink.addr_list(name) == []
        shown = subprocess.run(["bridge", "-d", "link", "show"], check=True, capture_output=True, text=True).stdout
        assert shown.count("state forwarding") == 2
        assert shown.count("hairpin on") == 1
        assert one.call(list_names) == ["lo", "eth0"]


def test_link_add_veth_into_a_dead_process_leaves_nothing(netlink: Netlink) -> None:
    """ESRCH, and no half of a pair."""
    with Namespace() as gone:
        pid = gone.pid
    with pytest.raises(SyscallError) as caught:
        netlink.link_add_veth("ve1", "eth0", peer_netns_pid=pid, master="br0")
    assert caught.value.errno == errno.ESRCH
    assert [link.name for link in netlink.link_list()] == ["lo", "br0"]


def test_configure_interface_gives_address_and_default_route_and_no_link_local(netlink: Netlink) -> None:
    """The container's side: loopback up, IPv4 only, and the gateway as the default."""
    with Namespace() as container:
        netlink.link_add_veth("ve1", "eth0", peer_netns_pid=container.pid, master="br0")
        container.configure("eth0", "10.0.0.2/24", "10.0.0.1")

        def look() -> tuple[list[str], list[str], bool]:
            with Netlink() as inner:
                default = [route.gateway for route in inner.route_list() if route.destination == "0.0.0.0"]
                return [entry.address for entry in inner.addr_list("eth0")], default, inner.link_get("lo").is_up

        assert container.call(look) == (["10.0.0.2"], ["10.0.0.1"], True)


def test_configure_interface_that_is_missing_is_enodev(netlink: Netlink) -> None:
    """The name is in the error."""
    with pytest.raises(SyscallError) as caught:
        netlink.configure_interface("eth7", "10.0.0.2/24", None)
    assert caught.value.errno == errno.ENODEV
    assert "eth7" in str(caught.value)


def test_configure_interface_without_address_brings_up_loopback_only(netlink: Netlink) -> None:
    """What a container on the network `none` needs."""
    netlink.link_set("lo", up=False)
    netlink.configure_interface("eth0", None, None)
    assert netlink.link_get("lo").is_up


def test_route_add_and_del_are_listed(netlink: Netlink) -> None:
    """A route by a gateway comes and goes; a second one is EEXIST."""
    netlink.route_add("10.9.0.0", 16, gateway="10.0.0.9")
    assert ("10.9.0.0", 16, "10.0.0.9") in [(r.destination, r.prefix, r.gateway) for r in netlink.route_list()]
    with pytest.raises(SyscallError) as caught:
        netlink.route_add("10.9.0.0", 16, gateway="10.0.0.9")
    assert caught.value.errno == errno.EEXIST
    netlink.route_del("10.9.0.0", 16)
    assert "10.9.0.0" not in [route.destination for route in netlink.route_list()]


def test_route_add_default_by_an_unreachable_gateway_tells_the_kernels_sentence(netlink: Netlink) -> None:
    """The extended acknowledgement's words are in the error."""
    with pytest.raises(SyscallError) as caught:
        netlink.route_add_default("192.0.2.77")
    assert caught.value.errno == errno.ENETUNREACH
    assert "Nexthop has invalid gateway" in caught.value.why


def test_addr_add_ipv6_and_addr_del(netlink: Netlink) -> None:
    """Both families are added, listed and removed."""
    netlink.addr_add("br0", "fd00:1::1", 64)
    assert {"10.0.0.1", "fd00:1::1"} <= {entry.address for entry in netlink.addr_list("br0")}
    netlink.addr_del("br0", "fd00:1::1", 64)
    netlink.addr_del("br0", "10.0.0.1", 24)
    assert not {"10.0.0.1", "fd00:1::1"} & {entry.address for entry in netlink.addr_list("br0")}


def test_link_set_renames_moves_and_leaves_its_bridge(netlink: Netlink) -> None:
    """Every change of an existing link arrives."""
    netlink.link_add_veth("a", "b", master="br0", up=False)
    netlink.link_set("a", name="c", mtu=1300, mac="02:00:00:00:00:07", master=0, up=True)
    link = netlink.link_get("c")
    assert (link.mtu, link.mac, link.master, link.is_up) == (1300, "02:00:00:00:00:07", 0, True)
    with Namespace() as other:
        netlink.link_set("b", netns_pid=other.pid)
        assert other.call(list_names) == ["lo", "b"]


def test_link_list_of_three_hundred_links_is_whole(netlink: Netlink) -> None:
    """A dump over several datagrams has every link once."""
    for number in range(150):
        netlink.link_add_veth(f"a{number}", f"b{number}", up=False)
    names = [link.name for link in netlink.link_list()]
    assert len(names) == len(set(names)) == 302


def test_neighbour_pin_and_del_are_seen_by_ip(netlink: Netlink) -> None:
    """The entry is permanent; deleting it twice is ENOENT."""
    netlink.neighbour_pin("br0", "10.0.0.7", "02:42:0a:00:00:07")
    assert "10.0.0.7 dev br0 lladdr 02:42:0a:00:00:07 PERMANENT" in ip("neigh", "show")
    netlink.neighbour_pin("br0", "10.0.0.7", "02:42:0a:00:00:08")
    assert "02:42:0a:00:00:08" in ip("neigh", "show")
    netlink.neighbour_del("br0", "10.0.0.7")
    assert "10.0.0.7" not in ip("neigh", "show")
    with pytest.raises(SyscallError) as caught:
        netlink.neighbour_del("br0", "10.0.0.7")
    assert caught.value.errno == errno.ENOENT


def test_bridge_pin_mac_moves_it_to_the_new_port(netlink: Netlink) -> None:
    """A MAC that was behind one port is behind the other from now on, for good."""
    netlink.link_add_veth("a", "b", master="br0")
    netlink.link_add_veth("c", "d", master="br0")
    netlink.bridge_pin_mac("a", "02:42:0a:00:00:07")
    netlink.bridge_pin_mac("c", "02:42:0a:00:00:07")
    table = subprocess.run(["bridge", "fdb", "show", "br", "br0"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in table.splitlines() if line.startswith("02:42:0a:00:00:07")]
    assert lines  # one more for VLAN 1, where the kernel's bridges know VLANs
    for line in lines:
        assert "dev c" in line
        assert "static" in line
        assert "sticky" in line


def ip(*arguments: str) -> str:
    """The output of ip(8) in this thread's namespace."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def test_bridge_port_up_when_the_kernel_had_seen_it_down_forwards(netlink: Netlink) -> None:
    """However long the pair has been without carrier, the port forwards when the call returns."""
    with Namespace() as container:
        netlink.link_add_veth("ve1", "eth0", peer_netns_pid=container.pid, master="br0")
        wait_seen_down("ve1")
        netlink.link_set("ve1", up=False)
        container.call(up_quietly)
        netlink.bridge_port_up("ve1")
        shown = subprocess.run(["bridge", "link", "show", "dev", "ve1"], check=True, capture_output=True, text=True)
        assert "state forwarding" in shown.stdout


def wait_seen_down(name: str) -> None:
    """Until ip(8) shows the state without carrier that the kernel's work queue sets."""
    deadline = time.monotonic() + 5
    while not {"DOWN", "LOWERLAYERDOWN"} & set(ip("link", "show", name).split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
