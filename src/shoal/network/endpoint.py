"""A container's end of a network, and what a network says of itself. Pure data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from shoal.oci.network import InterfaceConfig

Protocol = Literal["tcp", "udp", "sctp"]
ANY_ADDRESS, ANY_ADDRESS6 = "0.0.0.0", "::"


def default_mac(ip: str) -> str:
    """The MAC of the container, or the bridge, that has this address: Docker's 02:42 and its bytes, or a digest."""
    packed = ip_address(ip).packed
    return "02:42:" + (packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]).hex(":")


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """`host_ip`:`host_port` on the host leads to `container_port` in the container.

    `guarded`: only for clients whom the host's own firewall lets in. `host_port` is 0 in a routed network, where
    clients ask for the container's own address and port, and this is what they are let through to.
    """

    protocol: Protocol
    container_port: int
    host_ip: str
    host_port: int
    guarded: bool = False

    @property
    def is_ipv6(self) -> bool:
        """Whether clients reach it by IPv6."""
        return ":" in self.host_ip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One container's place in one network, as reserved by `NetworkDriver.allocate`.

    `ip`, `gateway`, `mac` and `veth` are "" where the network gives none; the gateway 0.0.0.0 means that everything is
    behind the interface itself. `veth` is the name of the host's end. `gateway_mac` is known for a bridge that shoal
    made, and needed at the start only. `ip6`, `prefix6` and `gateway6` are those of a network with IPv6. `link_local`
    has further addresses of its interface, with their prefixes.
    """

    network: str
    network_id: str
    container_id: str
    endpoint_id: str
    ip: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    mtu: int = 0
    veth: str = ""
    ports: tuple[PublishedPort, ...] = ()
    gateway_mac: str = field(default="", compare=False)
    ip6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    link_local: tuple[str, ...] = ()

    @property
    def addresses(self) -> list[str]:
        """The container's addresses in the network, IPv4 first."""
        return [address for address in (self.ip, self.ip6) if address]

    @property
    def placed(self) -> tuple[str, str | None]:
        """The address with its prefix that its interface has first, and the IPv6 one that it has besides."""
        address6 = f"{self.ip6}/{self.prefix6}" if self.ip6 else None
        return (f"{self.ip}/{self.prefix}", address6) if self.ip else (address6 or "", None)

    def interface(self, name: str = "eth0", *, routes: bool = True, routes6: bool = True) -> InterfaceConfig | None:
        """What the container has to configure on its side; None where the network gives it no interface.

        `routes`, `routes6`: its way to the outside leads through this network.
        """
        if not self.addresses:
            return None
        main, second = self.placed
        if not self.ip:
            routes, routes6 = routes6, False
        return InterfaceConfig(
            name=name,
            address=main,
            gateway=(self.gateway or self.gateway6 or None) if routes else None,
            gateway_mac=(self.gateway_mac or None) if routes or (routes6 and self.ip6) else None,
            address6=second,
            gateway6=(self.gateway6 or None) if routes6 else None,
            mac=self.mac,
            mtu=self.mtu,
        )


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """A network as `docker network inspect` needs it; `created_ns` since the epoch, "" where nothing applies."""

    name: str
    id: str
    driver: str
    created_ns: int
    subnet: str = ""
    gateway: str = ""
    subnet6: str = ""
    gateway6: str = ""
    bridge: str = ""
    mtu: int = 0
    options: dict[str, str] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
