"""What a network's definition says of its addresses, and of its MTU, whatever its driver. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from shoal.errors import Forbidden, InvalidArgument, Unsupported
from shoal.network.definition import NetworkDefinition

_MTU = "com.docker.network.driver.mtu"
_MTU_DEFAULT, _MTU_MIN, _MTU_MAX = 1500, 68, 65_535


@dataclass(frozen=True, slots=True)
class Addressing:
    """The gateway and its prefix, None where a subnet is to be chosen; what is handed out; what of it is not."""

    gateway: str | None = None
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()


def read_addressing(definition: NetworkDefinition) -> Addressing:
    """The addresses that the definition asks for. Raises: InvalidArgument, Forbidden (the subnet's first or last)."""
    if not definition.subnet:
        if definition.gateway or definition.ip_range or definition.reserved:
            raise InvalidArgument(
                "no matching subnet for gateway, ip-range or aux-address", fix="give the network a --subnet as well"
            )
        return Addressing()
    subnet = _subnet(definition.subnet)
    return Addressing(
        gateway=_gateway(subnet, definition),
        ip_range=_inside(subnet, definition.ip_range) if definition.ip_range else None,
        reserved=_reserved(subnet, definition),
    )


def read_mtu(options: dict[str, str]) -> int:
    """The MTU that a network's options ask for. Raises: InvalidArgument."""
    text = options.get(_MTU, "0")
    # isascii: int() would read digits of any script.
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 9):
        raise InvalidArgument(f"failed to parse {_MTU} value: {text}", why="it is no number")
    if int(text) != 0 and not _MTU_MIN <= int(text) <= _MTU_MAX:
        raise InvalidArgument(f"invalid MTU number: {text}", why=f"it is a number from {_MTU_MIN} to {_MTU_MAX}")
    return int(text) or _MTU_DEFAULT


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


def _gateway(subnet: IPv4Network, definition: NetworkDefinition) -> str:
    """The gateway that was asked for, or the first address of the range that is not reserved, with the prefix."""
    if definition.gateway:
        return f"{_address_in(subnet, definition.gateway, 'gateway')}/{subnet.prefixlen}"
    part = _part(definition.ip_range) if definition.ip_range else subnet
    reserved = set(definition.reserved.values())
    for address in part:
        if address != subnet.network_address and str(address) not in reserved:
            return f"{address}/{subnet.prefixlen}"
    raise InvalidArgument("failed to allocate gateway (): No available addresses on this pool")


def _address_in(subnet: IPv4Network, text: str, what: str) -> str:
    try:
        address = IPv4Address(text)
    except AddressValueError as error:
        raise InvalidArgument(f"invalid IP address: {text}", why=str(error)) from None
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
    part = _part(text)
    if not part.subnet_of(subnet):
        raise InvalidArgument(f"no matching subnet for range {text}", why=f"the subnet is {subnet}")
    return str(part)


def _part(text: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidArgument(f"invalid ip-range {text}", why=str(error)) from None
