"""What a bridge makes of a network's definition: subnet, gateway and the options of the bridge driver. Pure.

Source: Docker documentation "Bridge network driver", options.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from shoal.api.booleans import read_boolean
from shoal.errors import Forbidden, InvalidArgument, Unsupported
from shoal.network.bridge import BridgeConfig
from shoal.network.definition import NetworkDefinition
from shoal.network.endpoint import ANY_ADDRESS

_BRIDGE = "com.docker.network.bridge."
_NAME, _ICC, _MASQUERADE = f"{_BRIDGE}name", f"{_BRIDGE}enable_icc", f"{_BRIDGE}enable_ip_masquerade"
_HOST_BINDING, _GATEWAY_MODE = f"{_BRIDGE}host_binding_ipv4", f"{_BRIDGE}gateway_mode_ipv4"
_MTU = "com.docker.network.driver.mtu"
_MTU_DEFAULT, _MTU_MIN, _MTU_MAX = 1500, 68, 65_535
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_SETTINGS_OF_ALL = ("all", "default")  # what net.ipv4.conf has beside the interfaces


def bridge_config(definition: NetworkDefinition, table: str) -> BridgeConfig:
    """The bridge of a network.

    Raises: InvalidArgument (an address that does not fit, an option's value), Unsupported.
    """
    options = definition.options
    subnet = _subnet(definition.subnet) if definition.subnet else None
    if subnet is None and (definition.gateway or definition.ip_range or definition.reserved):
        raise InvalidArgument(
            "no matching subnet for gateway, ip-range or aux-address", fix="give the network a --subnet as well"
        )
    mode = options.get(_GATEWAY_MODE, "nat")
    if mode != "nat":
        raise Unsupported(f"gateway mode {mode!r} is not served yet", fix=f"leave {_GATEWAY_MODE} out")
    return BridgeConfig(
        bridge=_bridge_name(options.get(_NAME, "") or f"br-{definition.id[:12]}"),
        table=table,
        name=definition.name,
        bip=_bridge_address(subnet, definition) if subnet else None,
        mtu=_mtu(options.get(_MTU, "0")),
        ip_forward=False,
        ip_range=_inside(subnet, definition.ip_range) if subnet and definition.ip_range else None,
        reserved=_reserved(subnet, definition) if subnet else (),
        internal=definition.internal,
        icc=_boolean(options, _ICC),
        masquerade=_boolean(options, _MASQUERADE),
        host_ip=_host_binding(options.get(_HOST_BINDING, ANY_ADDRESS)),
        options=options,
        id=definition.id,
        created_ns=definition.created_ns,
    )


def _subnet(text: str) -> IPv4Network:
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        if ":" in text:
            raise Unsupported("IPv6 networks are not served yet", fix="leave --ipv6 and IPv6 subnets out") from None
        raise InvalidArgument(f"invalid subnet {text}: invalid CIDR block notation", why=str(error)) from None
    if network.prefixlen > 30:
        raise InvalidArgument(
            "failed to allocate gateway (): No available addresses on this pool",
            why=f"{text} has no room for a gateway and a container",
            fix="choose a subnet of /30 or more addresses",
        )
    return network


def _bridge_address(subnet: IPv4Network, definition: NetworkDefinition) -> str:
    """The gateway that was asked for, or the first address of the range that is not reserved, with the prefix."""
    if definition.gateway:
        return f"{_address_in(subnet, definition.gateway, 'gateway')}/{subnet.prefixlen}"
    part = _subnet_part(definition.ip_range) if definition.ip_range else subnet
    reserved = set(definition.reserved.values())
    for address in part:
        if address != subnet.network_address and str(address) not in reserved:
            return f"{address}/{subnet.prefixlen}"
    raise InvalidArgument("failed to allocate gateway (): No available addresses on this pool")


def _address_in(subnet: IPv4Network, text: str, what: str) -> str:
    address = IPv4Address(_address(text))
    if address not in subnet:
        raise InvalidArgument(f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address")
    if address in (subnet.network_address, subnet.broadcast_address):
        raise Forbidden(
            f"failed to allocate {what} ({text}): Address already in use",
            why=f"it is the first or the last address of {subnet}",
        )
    return str(address)


def _reserved(subnet: IPv4Network, definition: NetworkDefinition) -> tuple[str, ...]:
    return tuple(_address_in(subnet, address, "auxiliary address") for address in definition.reserved.values())


def _inside(subnet: IPv4Network, text: str) -> str:
    part = _subnet_part(text)
    if not part.subnet_of(subnet):
        raise InvalidArgument(f"no matching subnet for range {text}", why=f"the subnet is {subnet}")
    return str(part)


def _subnet_part(text: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidArgument(f"invalid ip-range {text}", why=str(error)) from None


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise InvalidArgument(f"invalid IP address: {text}", why=str(error)) from None


def _host_binding(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise InvalidArgument(f"failed to parse {_HOST_BINDING} value: {text}", why=str(error)) from None


def _mtu(text: str) -> int:
    # isascii: int() would read digits of any script.
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 9):
        raise InvalidArgument(f"failed to parse {_MTU} value: {text}", why="it is no number")
    if int(text) != 0 and not _MTU_MIN <= int(text) <= _MTU_MAX:
        raise InvalidArgument(f"invalid MTU number: {text}", why=f"it is a number from {_MTU_MIN} to {_MTU_MAX}")
    return int(text) or _MTU_DEFAULT


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
