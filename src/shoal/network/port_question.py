"""What is asked about a container's port, what is known of the path there, and what may be found. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.network.endpoint import PublishedPort
from shoal.network.firewall.foreign import Drop
from shoal.network.listeners import Listener


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, or a limit that is meant so: `cause` for programs, the rest for people."""

    cause: str
    sentence: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question, and what shoald itself knows. `network` is "" where the container has none of its own.

    A path is one of IPv4 or of IPv6, as `ip` is; `gateway` and `published` are of the same family.
    """

    name: str
    protocol: str
    port: int
    status: str = "running"
    error: str = ""
    mode: str = "bridge"
    network: str = ""
    internal: bool = False
    bridge: str = ""
    ip: str = ""
    gateway: str = ""
    mac: str = ""
    veth: str = ""
    published: tuple[PublishedPort, ...] = ()

    @property
    def key(self) -> str:
        """As `80/tcp`."""
        return f"{self.port}/{self.protocol}"

    @property
    def is_ipv6(self) -> bool:
        """Whether clients come by IPv6."""
        return ":" in self.ip

    @property
    def here(self) -> list[PublishedPort]:
        """Where this very port is published."""
        return [port for port in self.published if (port.protocol, port.container_port) == (self.protocol, self.port)]


@dataclass(frozen=True, slots=True)
class Inside:
    """The container's network namespace."""

    listeners: tuple[Listener, ...] = ()
    has_interface: bool = True
    has_address: bool = True
    is_up: bool = True
    default_gateways: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """The host's. `source`: from where it would talk to the container, "" where it has no route; `answer` is that of
    the container to a connection from the host: "yes", "refused", "none", or "" where it was not tried.
    `reaches_loopback`: what it sends to its own 127.0.0.0/8, or ::1, can lead into the bridge."""

    has_bridge: bool = True
    bridge_up: bool = True
    bridge_addresses: tuple[str, ...] = ()
    veth: str = "forwarding"
    source: str = ""
    addresses: tuple[str, ...] = ()
    ip_forward: bool = True
    not_forwarding: str = ""
    reaches_loopback: bool = True
    has_table: bool = True
    targets: dict[PublishedPort, str] = field(default_factory=dict)
    drop: Drop | None = None
    answer: str = ""


def place(address: str, port: int) -> str:
    """A port at an address, as people write it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
