"""A container's end of a network, and what a network says of itself. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from shoal.oci.network import InterfaceConfig

Protocol = Literal["tcp", "udp", "sctp"]
ANY_ADDRESS = "0.0.0.0"


def default_mac(ip: str) -> str:
    """The MAC of the container, or the bridge, that has this address: Docker's 02:42 and its four bytes."""
    return "02:42:" + IPv4Address(ip).packed.hex(":")


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """`host_ip`:`host_port` on the host leads to `container_port` in the container.

    `guarded`: only for clients whom the host's own firewall lets in.
    """

    protocol: Protocol
    container_port: int
    host_ip: str
    host_port: int
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One container's place in one network, as reserved by `NetworkDriver.allocate`.

    `ip`, `gateway`, `mac` and `veth` are "" where the network gives none; the gateway 0.0.0.0 means that everything is
    behind the interface itself. `veth` is the name of the host's end. `gateway_mac` is known for a bridge that shoal
    made, and needed at the start only.
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

    def interface(self, name: str = "eth0", *, routes: bool = True) -> InterfaceConfig | None:
        """What the container has to configure on its side; None where the network gives it no interface.

        `routes`: its way to the outside leads through this network.
        """
        if not self.ip:
            return None
        return InterfaceConfig(
            name=name,
            address=f"{self.ip}/{self.prefix}",
            gateway=self.gateway if routes else None,
            gateway_mac=(self.gateway_mac or None) if routes else None,
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
    bridge: str = ""
    mtu: int = 0
    options: dict[str, str] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
