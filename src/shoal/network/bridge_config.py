"""What a bridge network is to be. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.network.endpoint import ANY_ADDRESS
from shoal.network.instance import bridge_name, table_name
from shoal.network.ipam import DEFAULT_POOLS, parse_bip

# How containers reach others, and others them; see `BridgedSubnet`.
NAT, NAT_UNPROTECTED, ROUTED, ISOLATED = GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")


@dataclass(frozen=True, slots=True)
class Ipv6Config:
    """The same for IPv6: `address` is the bridge's with its prefix, None to choose a free subnet of `pools`."""

    address: str | None = None
    pools: tuple[tuple[str, int], ...] = ()
    ip_forward: bool = False
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()
    gateway_mode: str = NAT


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """What a bridge network is to be; `bip` is the bridge's address with its prefix, None to choose a free subnet.

    `ip_range` bounds the addresses that are handed out, `reserved` are never. `internal`: no way out of it;
    `icc`: its containers reach each other; `masquerade`: to the outside they seem to be the host. `host_ip` is where
    ports are published that name no address. `adopted`: the bridge is the operator's, who made it and keeps it.
    `inhibit_ipv4`: the gateway is somebody else's address, not the bridge's. `ipv6` is None without IPv6;
    without `ipv4` there is nothing else.
    `options` is what inspections show. `id` and `created_ns` are those of a network that a user made; without them they
    are chosen at its first start.
    """

    bridge: str
    table: str
    name: str = "bridge"
    bip: str | None = None
    mtu: int = 1500
    ip_forward: bool = True
    pools: tuple[tuple[str, int], ...] = DEFAULT_POOLS
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    host_ip: str = ANY_ADDRESS
    adopted: bool = False
    gateway_mode: str = NAT
    inhibit_ipv4: bool = False
    ipv4: bool = True
    ipv6: Ipv6Config | None = None
    options: dict[str, str] = field(default_factory=dict)
    id: str = ""
    created_ns: int = 0

    @property
    def is_default(self) -> bool:
        """Whether this is the network of containers that name none."""
        return self.name == "bridge"

    @property
    def has_address(self) -> bool:
        """Whether the bridge has the gateway's IPv4 address."""
        return self.ipv4 and not self.inhibit_ipv4 and self.gateway_mode != ISOLATED

    @property
    def gateway_mode6(self) -> str:
        """The mode for IPv6, also where there is none."""
        return self.ipv6.gateway_mode if self.ipv6 else NAT

    @classmethod
    def for_daemon(cls, exec_root: str, *, bip: str | None = None, ip_forward: bool = True) -> BridgeConfig:
        """The default bridge of the daemon with this exec root. Raises: InvalidArgument (malformed bip)."""
        if bip is not None:
            parse_bip(bip)
        return cls(bridge_name(exec_root), table_name(exec_root), bip=bip, ip_forward=ip_forward)
