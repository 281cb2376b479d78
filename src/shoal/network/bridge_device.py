"""The host's side of a bridge network in the kernel: the bridge itself, its settings, the veth pairs. Blocking.

For one thread, in whose network namespace all of it happens.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface

from shoal.errors import Conflict, InvalidArgument, SyscallError, Unavailable
from shoal.linux.namespaces import open_namespace
from shoal.linux.netlink import Link, Netlink
from shoal.network.container_side import free_name, lead_outside, netlink_inside, ready_for_ipv6
from shoal.network.endpoint import Endpoint
from shoal.network.host_claims import host_claims, host_claims6
from shoal.network.ipv6_host import quieten

BridgeAddress = IPv4Interface | IPv6Interface


class BridgeDevice:
    """The bridge `name`, whether it exists yet or not."""

    def __init__(self, netlink: Netlink, name: str, mtu: int, *, group: int) -> None:
        """`group` is the device group of its containers' ports."""
        self._netlink = netlink
        self._index: int | None = None
        self._home = open_namespace("/proc/thread-self/ns/net")
        self.name = name
        self.mtu = mtu
        self.group = group

    def ensure(self, addresses: Collection[BridgeAddress], mac: str, *, loopback6: bool = False) -> list[str]:
        """Have the bridge up with exactly these addresses; sentences about what had to be made anew.

        IPv6 is off where there is no such address. `loopback6`: answers to the host's ::1 may come in by the bridge.
        Raises: Conflict (the name belongs to something else), SyscallError.
        """
        repairs: list[str] = []
        link = self.find()
        if link is None:
            self._netlink.link_add_bridge(self.name, mac=mac, mtu=self.mtu)
            link = self._netlink.link_get(self.name)
        elif link.kind != "bridge":
            raise Conflict(
                f"the interface {self.name} exists and is not a bridge",
                fix=f"rename or remove it: `ip link show {self.name}`",
            )
        self._index = link.index
        if any(address.version == 6 for address in addresses):
            quieten(self.name)
        else:
            # Before it comes up, so that the kernel makes no link-local address and sends no router solicitation.
            self._write("ipv6", "disable_ipv6", "1")
        repairs += self._ensure_addresses(link, addresses)
        # Lets the host reach published ports through its own 127.0.0.0/8; the firewall's guard chain limits it to that.
        self._write("ipv4", "route_localnet", "1")
        self._netlink.link_set(link.index, up=True)
        if loopback6:
            # What route_localnet is for IPv4. From the wire the kernel takes no ::1 all the same.
            self._netlink.route_add_local("::1", link.index)
        return repairs

    def adopt(self) -> list[BridgeAddress]:
        """The addresses of a bridge that the operator made, which is left as it is but for reaching ports by loopback.

        Raises: InvalidArgument (there is none, it is something else, it has no address), SyscallError.
        """
        link = self.find()
        if link is None or link.kind != "bridge":
            raise InvalidArgument(
                f"bridge device with non default name {self.name} must be created manually",
                fix=f"ip link add {self.name} type bridge && ip address add 10.9.8.1/24 dev {self.name}",
            )
        addresses = self.addresses()
        if not any(address.version == 4 for address in addresses):
            raise InvalidArgument(
                f"the bridge {self.name} has no IPv4 address", fix=f"ip address add 10.9.8.1/24 dev {self.name}"
            )
        self._index, self.mtu = link.index, link.mtu or self.mtu
        self._write("ipv4", "route_localnet", "1")
        self._netlink.link_set(link.index, up=True)
        return addresses

    def find(self) -> Link | None:
        """The interface of the bridge's name, if there is one. Raises: SyscallError."""
        try:
            return self._netlink.link_get(self.name)
        except SyscallError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def addresses(self) -> list[BridgeAddress]:
        """The addresses that the bridge has, without a link's own; none if it doesn't exist. Raises: SyscallError."""
        link = self.find()
        if link is None:
            return []
        found = [ip_interface(f"{address.address}/{address.prefix}") for address in self._netlink.addr_list(link.index)]
        return [address for address in found if address.version == 4 or not address.is_link_local]

    def claimed(self) -> list[IPv4Network]:
        """As `host_claims`, this bridge left out. Raises: SyscallError."""
        link = self.find()
        return host_claims(self._netlink, besides=link.index if link else None)

    def claimed6(self) -> list[IPv6Network]:
        """As `host_claims6`, this bridge left out. Raises: SyscallError."""
        link = self.find()
        return host_claims6(self._netlink, besides=link.index if link else None)

    def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0", *, isolated: bool = False) -> None:
        """Create the endpoint's veth pair, its peer as `interface` in the namespace of `pid`.

        `isolated` ports of a bridge don't reach each other (Linux 4.18).

        Raises: SyscallError, Unavailable (the bridge is full).
        """
        try:
            self._add_veth(endpoint, pid, interface, isolated=isolated)
        except SyscallError as error:
            if error.errno == errno.ENODEV and self.find() is not None:
                self._index = None  # somebody made the bridge anew: it has another index now
            elif error.errno == errno.EXFULL:
                raise Unavailable(
                    f"no room for another container on the bridge {self.name}",
                    why="a Linux bridge has at most 1,023 ports",
                    fix="stop containers, or start some with `--network none` or `--network host`",
                ) from None
            else:
                raise
            self._add_veth(endpoint, pid, interface, isolated=isolated)

    def _add_veth(self, endpoint: Endpoint, pid: int, interface: str, *, isolated: bool) -> None:
        if self._index is None:
            self._index = self._netlink.link_get(self.name).index
        self._netlink.link_add_veth(
            endpoint.veth,
            interface,
            peer_netns_pid=pid,
            peer_mac=endpoint.mac,
            mtu=endpoint.mtu,
            master=self._index,
            group=self.group,
            up=False,
        )
        # The container's end first: a port comes up forwarding only if its carrier is there.
        # Only who publishes ports can meet itself; a hairpin port also hears its own broadcasts.
        if endpoint.ip6:
            ready_for_ipv6(pid, self._home, interface)
        with self._inside(pid) as inner:
            if endpoint.ip6:
                inner.link_set(interface, up=True)
            else:
                inner.link_up_quietly(interface)
        port = self._netlink.bridge_port_up(endpoint.veth, hairpin=bool(endpoint.ports), isolated=isolated)
        # The address, and the MAC that goes with it, may have been another container's a moment ago, whose pair the
        # kernel takes down slowly: until then the bridge would send the new one's packets to the dead.
        self._netlink.bridge_pin_mac(port, endpoint.mac)
        for address in _met_by_host(endpoint):
            self._netlink.neighbour_pin(self._index, address, endpoint.mac)

    def plug(self, endpoint: Endpoint, pid: int, *, isolated: bool) -> None:
        """`connect` for a namespace in use: under the next free name, with its address. Raises: as `connect`."""
        with self._inside(pid) as inner:
            name = free_name(inner)
        self.connect(endpoint, pid, name, isolated=isolated)
        with self._inside(pid) as inner:
            address, address6 = endpoint.placed
            inner.configure_interface(name, address, None, address6=address6)

    def let_meet_itself(self, endpoint: Endpoint, *, isolated: bool) -> None:
        """Let the container reach itself through a port that it publishes. Raises: SyscallError."""
        self._netlink.bridge_port_up(endpoint.veth, hairpin=True, isolated=isolated)

    def unplug(self, endpoint: Endpoint) -> None:
        """Take the endpoint's veth pair away; harmless when it has gone. Raises: SyscallError."""
        try:
            self._netlink.link_del(endpoint.veth)
        except SyscallError as error:
            if error.errno != errno.ENODEV:
                raise

    def route(self, gateway: str, pid: int) -> None:
        """Have the default route of the namespace of `pid` lead to this gateway. Raises: SyscallError."""
        with self._inside(pid) as inner:
            lead_outside(inner, gateway)

    def _inside(self, pid: int) -> Netlink:
        return netlink_inside(pid, self._home)

    def close(self) -> None:
        """Let go of the kernel; the bridge stays."""
        self._home.close()

    def disconnect(self, endpoint: Endpoint) -> None:
        """Forget where the endpoint's addresses are; its veth pair goes with its namespace. Raises: SyscallError."""
        for address in _met_by_host(endpoint):
            try:
                self._netlink.neighbour_del(self.name if self._index is None else self._index, address)
            except SyscallError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):  # never connected, or the bridge has gone
                    raise

    def remove(self) -> None:
        """Delete the bridge; harmless when there is none. Raises: SyscallError."""
        self._index = None
        link = self.find()
        if link is None or link.kind != "bridge":
            return  # an interface of another kind is somebody else's
        try:
            self._netlink.link_del(self.name)
        except SyscallError as error:
            if error.errno != errno.ENODEV:
                raise

    def _ensure_addresses(self, link: Link, addresses: Collection[BridgeAddress]) -> list[str]:
        repairs: list[str] = []
        present = self.addresses()
        for other in present:
            if other not in addresses:
                self._netlink.addr_del(link.index, str(other.ip), other.network.prefixlen)
                repairs.append(f"took the address {other} from the bridge {self.name}")
        for address in addresses:
            if address not in present:
                self._netlink.addr_add(link.index, str(address.ip), address.network.prefixlen)
        return repairs

    def _write(self, family: str, key: str, value: str) -> None:
        try:
            with open(f"/proc/sys/net/{family}/conf/{self.name}/{key}", "w", encoding="ascii") as file:
                file.write(value)
        except FileNotFoundError:
            if family != "ipv6":  # a kernel without IPv6 has nothing to switch off
                raise SyscallError("open", f"net.{family}.conf.{self.name}.{key}", errno.ENOENT) from None
        except OSError as error:
            raise SyscallError("write", f"net.{family}.conf.{self.name}.{key}", error.errno or errno.EIO) from None


def _met_by_host(endpoint: Endpoint) -> list[str]:
    """The addresses in whose subnets there is a gateway: without one the host has nothing to send there."""
    ways = ((endpoint.ip, endpoint.gateway), (endpoint.ip6, endpoint.gateway6))
    return [address for address, gateway in ways if address and gateway]


def read_ip_forward() -> bool:
    """Whether the host forwards IPv4 packets. Source: ip-sysctl, `ip_forward`."""
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
        return file.read().strip() == "1"


def write_ip_forward(*, enabled: bool) -> None:
    """Switch the forwarding of IPv4 packets on or off for the whole host.

    Raises: SyscallError.
    """
    try:
        descriptor = os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1" if enabled else b"0")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SyscallError("write", "net.ipv4.ip_forward", error.errno or errno.EIO) from None
