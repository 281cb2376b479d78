"""What a bridge makes of a network's definition: subnet, gateway and the options of the bridge driver. Pure.

Source: Docker documentation "Bridge network driver", options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from shoal.api.booleans import read_boolean
from shoal.errors import InvalidArgument
from shoal.network.addressing import read_addressing, read_addressing6, read_mtu
from shoal.network.bridge_config import GATEWAY_MODES, ISOLATED, NAT, BridgeConfig, Ipv6Config
from shoal.network.definition import NetworkDefinition
from shoal.network.endpoint import ANY_ADDRESS
from shoal.network.ipam import DEFAULT_POOLS

_BRIDGE = "com.docker.network.bridge."
_NAME, _ICC, _MASQUERADE = f"{_BRIDGE}name", f"{_BRIDGE}enable_icc", f"{_BRIDGE}enable_ip_masquerade"
_HOST_BINDING, _INHIBIT = f"{_BRIDGE}host_binding_ipv4", f"{_BRIDGE}inhibit_ipv4"
_GATEWAY_MODE, _GATEWAY_MODE6 = f"{_BRIDGE}gateway_mode_ipv4", f"{_BRIDGE}gateway_mode_ipv6"
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_SETTINGS_OF_ALL = ("all", "default")  # what net.ipv4.conf has beside the interfaces


@dataclass(frozen=True, slots=True)
class PoolDefaults:
    """What the daemon has for networks that say nothing: pools of either family, and whether it may forward IPv6."""

    pools: tuple[tuple[str, int], ...] = DEFAULT_POOLS
    pools6: tuple[tuple[str, int], ...] = ()
    ip_forward6: bool = False


def bridge_config(definition: NetworkDefinition, table: str, defaults: PoolDefaults = PoolDefaults()) -> BridgeConfig:
    """The bridge of a network.

    Raises: InvalidArgument (an address that does not fit, an option's value).
    """
    options = definition.options
    addressing = read_addressing(definition)
    return BridgeConfig(
        bridge=_bridge_name(options.get(_NAME, "") or f"br-{definition.id[:12]}"),
        table=table,
        name=definition.name,
        bip=addressing.gateway,
        mtu=read_mtu(definition),
        ip_forward=False,
        pools=defaults.pools,
        ip_range=addressing.ip_range,
        reserved=addressing.reserved,
        internal=definition.internal,
        icc=_boolean(options, _ICC),
        masquerade=_boolean(options, _MASQUERADE),
        host_ip=_host_binding(options.get(_HOST_BINDING, ANY_ADDRESS)),
        gateway_mode=_gateway_mode(options, _GATEWAY_MODE, definition),
        inhibit_ipv4=_boolean(options, _INHIBIT, default="false"),
        ipv4=definition.ipv4,
        ipv6=_ipv6_config(definition, defaults) if definition.ipv6 else None,
        options=options,
        id=definition.id,
        created_ns=definition.created_ns,
    )


def _ipv6_config(definition: NetworkDefinition, defaults: PoolDefaults) -> Ipv6Config:
    addressing = read_addressing6(definition)
    return Ipv6Config(
        address=addressing.gateway,
        pools=defaults.pools6,
        ip_forward=defaults.ip_forward6,
        ip_range=addressing.ip_range,
        reserved=addressing.reserved,
        gateway_mode=_gateway_mode(definition.options, _GATEWAY_MODE6, definition),
    )


def _gateway_mode(options: dict[str, str], name: str, definition: NetworkDefinition) -> str:
    mode = options.get(name) or NAT
    if mode not in GATEWAY_MODES:
        raise InvalidArgument(
            f"failed to parse {name} value: {mode} (unknown gateway mode {mode})",
            fix=f"use one of {', '.join(GATEWAY_MODES)}",
        )
    if mode == ISOLATED and not definition.internal:
        raise InvalidArgument(
            "gateway mode 'isolated' can only be used for an internal network",
            fix="give the network --internal as well",
        )
    return mode


def _host_binding(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise InvalidArgument(f"failed to parse {_HOST_BINDING} value: {text}", why=str(error)) from None


def _bridge_name(text: str) -> str:
    """The name as it may stand in firewall rules, in paths of /proc/sys and in netlink requests.

    The kernel would take more: quotes and braces, which end a rule's string, `*`, which matches other interfaces,
    and `%d`, which it replaces by a number.
    """
    if not _INTERFACE_NAME.fullmatch(text) or text in _SETTINGS_OF_ALL:
        raise InvalidArgument(
            f"invalid bridge name {text!r}", why="it is at most 15 letters, digits, dots, dashes and underscores"
        )
    return text


def _boolean(options: dict[str, str], name: str, default: str = "true") -> bool:
    value = read_boolean(options.get(name, default))
    if value is None:
        raise InvalidArgument(f"failed to parse {name} value: {options[name]}", why="it is true or false")
    return value
