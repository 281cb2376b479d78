"""What a bridge makes of a network's definition: subnet, gateway and the options of the bridge driver. Pure.

Source: Docker documentation "Bridge network driver", options.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address

from shoal.api.booleans import read_boolean
from shoal.errors import InvalidArgument, Unsupported
from shoal.network.addressing import read_addressing, read_mtu
from shoal.network.bridge import BridgeConfig
from shoal.network.definition import NetworkDefinition
from shoal.network.endpoint import ANY_ADDRESS

_BRIDGE = "com.docker.network.bridge."
_NAME, _ICC, _MASQUERADE = f"{_BRIDGE}name", f"{_BRIDGE}enable_icc", f"{_BRIDGE}enable_ip_masquerade"
_HOST_BINDING, _GATEWAY_MODE = f"{_BRIDGE}host_binding_ipv4", f"{_BRIDGE}gateway_mode_ipv4"
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_SETTINGS_OF_ALL = ("all", "default")  # what net.ipv4.conf has beside the interfaces


def bridge_config(definition: NetworkDefinition, table: str) -> BridgeConfig:
    """The bridge of a network.

    Raises: InvalidArgument (an address that does not fit, an option's value), Unsupported.
    """
    options = definition.options
    addressing = read_addressing(definition)
    mode = options.get(_GATEWAY_MODE, "nat")
    if mode != "nat":
        raise Unsupported(f"gateway mode {mode!r} is not served yet", fix=f"leave {_GATEWAY_MODE} out")
    return BridgeConfig(
        bridge=_bridge_name(options.get(_NAME, "") or f"br-{definition.id[:12]}"),
        table=table,
        name=definition.name,
        bip=addressing.gateway,
        mtu=read_mtu(options),
        ip_forward=False,
        ip_range=addressing.ip_range,
        reserved=addressing.reserved,
        internal=definition.internal,
        icc=_boolean(options, _ICC),
        masquerade=_boolean(options, _MASQUERADE),
        host_ip=_host_binding(options.get(_HOST_BINDING, ANY_ADDRESS)),
        options=options,
        id=definition.id,
        created_ns=definition.created_ns,
    )


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


def _boolean(options: dict[str, str], name: str) -> bool:
    value = read_boolean(options.get(name, "true"))
    if value is None:
        raise InvalidArgument(f"failed to parse {name} value: {options[name]}", why="it is true or false")
    return value
