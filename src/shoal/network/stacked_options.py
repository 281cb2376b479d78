"""What a macvlan or ipvlan network is made of, from its definition. Pure.

Source: Docker documentation "Macvlan network driver" and "IPvlan network driver", options.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shoal.errors import InvalidArgument
from shoal.linux.link_kinds import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES
from shoal.network.addressing import read_addressing, read_addressing6, read_mtu
from shoal.network.bridge_config import Ipv6Config
from shoal.network.bridge_options import PoolDefaults
from shoal.network.definition import NetworkDefinition
from shoal.network.ipam import DEFAULT_POOLS

Kind = Literal["macvlan", "ipvlan"]
_MODES = {"macvlan": (MACVLAN_MODES, "bridge"), "ipvlan": (IPVLAN_MODES, "l2")}


@dataclass(frozen=True, slots=True)
class StackedConfig:
    """`parent` is the host's interface that containers' interfaces sit on, "" for one of the network's own.

    `gateway` has its prefix, and is None where a subnet of `pools` is to be chosen.
    """

    name: str
    id: str
    created_ns: int
    kind: Kind
    mode: str
    flag: str = ""
    parent: str = ""
    gateway: str | None = None
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()
    ipv6: Ipv6Config | None = None
    mtu: int = 1500
    internal: bool = False
    pools: tuple[tuple[str, int], ...] = DEFAULT_POOLS
    options: dict[str, str] = field(default_factory=dict)

    @property
    def is_routed(self) -> bool:
        """Whether containers need no gateway: their interface hands what they send to the host's routing."""
        return self.kind == "ipvlan" and self.mode != "l2"

    @property
    def has_mac_of_parent(self) -> bool:
        """Whether containers have no MAC of their own."""
        return self.kind == "ipvlan" or self.is_exclusive

    @property
    def is_exclusive(self) -> bool:
        """Whether the parent serves one container only."""
        return self.mode == "passthru"


def stacked_config(definition: NetworkDefinition, defaults: PoolDefaults) -> StackedConfig:
    """The network of a definition whose driver is one of the two.

    Raises: InvalidArgument in Docker's words, Forbidden, Unsupported.
    """
    options = definition.options
    kind: Kind = "macvlan" if definition.driver == "macvlan" else "ipvlan"
    modes, usual = _MODES[kind]
    mode = options.get(f"{kind}_mode", "") or usual
    if mode not in modes:
        raise InvalidArgument(
            f"requested {kind} mode '{mode}' is not valid, '{usual}' mode is the {kind} driver default",
            fix=f"use one of {', '.join(modes)}",
        )
    flag = (options.get("ipvlan_flag", "") or "bridge") if kind == "ipvlan" else ""
    if flag and flag not in IPVLAN_FLAGS:
        raise InvalidArgument(f"unknown ipvlan_flag type: {flag}", fix=f"use one of {', '.join(IPVLAN_FLAGS)}")
    parent = options.get("parent", "")
    if parent == "lo":
        raise InvalidArgument(
            f"loopback interface is not a valid {kind} parent link", fix="name the interface of your LAN: ip link"
        )
    addressing = read_addressing(definition)
    return StackedConfig(
        name=definition.name,
        id=definition.id,
        created_ns=definition.created_ns,
        kind=kind,
        mode=mode,
        flag=flag,
        parent=parent,
        gateway=addressing.gateway,
        ip_range=addressing.ip_range,
        reserved=addressing.reserved,
        ipv6=_ipv6_config(definition, defaults) if definition.ipv6 else None,
        mtu=read_mtu(definition),
        internal=definition.internal,
        pools=defaults.pools,
        options=options,
    )


def _ipv6_config(definition: NetworkDefinition, defaults: PoolDefaults) -> Ipv6Config:
    addressing = read_addressing6(definition)
    return Ipv6Config(
        address=addressing.gateway,
        pools=defaults.pools6,
        ip_range=addressing.ip_range,
        reserved=addressing.reserved,
    )
