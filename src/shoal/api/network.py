"""Networks and a container's place in them. Docker API `Network`, `EndpointSettings`, `NetworkSettings`."""

from __future__ import annotations

from msgspec import field

from shoal.api.host_config import PortBinding
from shoal.api.wire import Int64, Wire


class EndpointIPAMConfig(Wire, kw_only=True):
    """Addresses that a client asks for."""

    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: list[str] = field(default_factory=list, name="LinkLocalIPs")


class EndpointSettings(Wire, kw_only=True):
    """A container's end in one network: what was asked for, and what it has."""

    ipam_config: EndpointIPAMConfig | None = field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    mac_address: str = ""
    aliases: list[str] | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: Int64 = 0
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = field(default=None, name="DNSNames")


class NetworkingConfig(Wire, kw_only=True):
    """The networks that a container is to join when it is created, by name or id."""

    endpoints_config: dict[str, EndpointSettings] = {}


class NetworkSettings(Wire, kw_only=True):
    """What `docker inspect` shows of a container's network; `ports` has `None` for unpublished ones."""

    bridge: str = ""
    sandbox_id: str = field(default="", name="SandboxID")
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] = {}
    hairpin_mode: bool = False
    link_local_ipv6_address: str = field(default="", name="LinkLocalIPv6Address")
    link_local_ipv6_prefix_len: int = field(default=0, name="LinkLocalIPv6PrefixLen")
    secondary_ip_addresses: list[str] | None = field(default=None, name="SecondaryIPAddresses")
    secondary_ipv6_addresses: list[str] | None = field(default=None, name="SecondaryIPv6Addresses")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    mac_address: str = ""
    networks: dict[str, EndpointSettings] = {}


class NetworksPruneReport(Wire, kw_only=True):
    """What POST /networks/prune removed, by name."""

    networks_deleted: list[str] | None = None


class IPAMPool(Wire, kw_only=True, omit_defaults=True):
    """One address pool of a network."""

    subnet: str = ""
    ip_range: str = field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class IPAM(Wire, kw_only=True):
    """How a network hands out addresses."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[IPAMPool] = []


class NetworkContainer(Wire, kw_only=True):
    """A running container in a network's inspection; addresses carry their prefix length."""

    name: str = ""
    endpoint_id: str = field(default="", name="EndpointID")
    mac_address: str = ""
    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")


class ConfigReference(Wire, kw_only=True):
    """The network whose configuration another one uses (swarm)."""

    network: str = ""


class NetworkCreateRequest(Wire, kw_only=True):
    """The body of POST /networks/create. Docker API v1.50 `NetworkCreate`."""

    name: str
    check_duplicate: bool = False
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    ipam: IPAM | None = field(default=None, name="IPAM")
    enable_ipv4: bool | None = field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkCreateResponse(Wire, kw_only=True):
    """The answer of POST /networks/create."""

    id: str
    warning: str = ""


class NetworkConnectRequest(Wire, kw_only=True):
    """The body of POST /networks/ID/connect."""

    container: str
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(Wire, kw_only=True):
    """The body of POST /networks/ID/disconnect."""

    container: str
    force: bool = False


class NetworkResource(Wire, kw_only=True):
    """A network. Docker API v1.50 `Network`; `created` is RFC 3339."""

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str = "bridge"
    enable_ipv4: bool = field(default=True, name="EnableIPv4")
    enable_ipv6: bool = field(default=False, name="EnableIPv6")
    ipam: IPAM = field(default_factory=IPAM, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, NetworkContainer] = {}
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
