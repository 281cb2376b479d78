"""What a network's definition says of its addresses, and of its MTU, whatever its driver. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
    ip_address,
    ip_network,
)

from shoal.errors import Forbidden, InvalidArgument
from shoal.network.definition import NetworkDefinition
from shoal.network.ipam6 import parse_subnet6

_MTU = "com.docker.network.driver.mtu"
_MTU_DEFAULT, _MTU_MIN, _MTU_MIN6, _MTU_MAX = 1500, 68, 1280, 65_535


@dataclass(frozen=True, slots=True)
class Addressing:
    """The gateway and its prefix, None where a subnet is to be chosen; what is handed out; what of it is not."""

    gateway: str | None = None
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()


def read_addressing(definition: NetworkDefinition) -> Addressing:
    """The addresses that the definition asks for. Raises: InvalidArgument, Forbidden (the subnet's first or last)."""
    subnet = _subnet(definition.subnet) if definition.subnet else None
    return _Block(subnet, definition.gateway, definition.ip_range, definition.reserved).read()


def read_addressing6(definition: NetworkDefinition) -> Addressing:
    """The same for IPv6."""
    subnet = parse_subnet6(definition.subnet6) if definition.subnet6 else None
    return _Block(subnet, definition.gateway6, definition.ip_range6, definition.reserved6).read()


def read_mtu(definition: NetworkDefinition) -> int:
    """The MTU that a network's options ask for. Raises: InvalidArgument."""
    text = definition.options.get(_MTU, "0")
    # isascii: int() would read digits of any script.
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 9):
        raise InvalidArgument(f"failed to parse {_MTU} value: {text}", why="it is no number")
    least = _MTU_MIN6 if definition.ipv6 else _MTU_MIN
    if int(text) != 0 and not least <= int(text) <= _MTU_MAX:
        why = f"it is a number from {least} to {_MTU_MAX}" + (", because IPv6 needs so much" if definition.ipv6 else "")
        raise InvalidArgument(f"invalid MTU number: {text}", why=why)
    return int(text) or _MTU_DEFAULT


@dataclass(frozen=True, slots=True)
class _Block:
    """What a definition says of the addresses of one family."""

    subnet: IPv4Network | IPv6Network | None
    gateway: str
    ip_range: str
    reserved: dict[str, str]

    def __post_init__(self) -> None:
        if self.subnet is None and (self.gateway or self.ip_range or self.reserved):
            raise InvalidArgument(
                "no matching subnet for gateway, ip-range or aux-address", fix="give the network a --subnet as well"
            )

    def read(self) -> Addressing:
        """All of it. Raises: InvalidArgument, Forbidden."""
        return Addressing(self._bridge_address(), self._inside(), self._taken())

    def _bridge_address(self) -> str | None:
        """The gateway that was asked for, or the first address of the range that is not reserved, with the prefix."""
        subnet = self.subnet
        if subnet is None:
            return None
        if self.gateway:
            return f"{self._address(self.gateway, 'gateway')}/{subnet.prefixlen}"
        part = _part(self.ip_range) if self.ip_range else subnet
        reserved = {ip_address(address) for address in self.reserved.values()}
        for address in part:
            if address != subnet.network_address and address not in reserved:
                return f"{address}/{subnet.prefixlen}"
        raise InvalidArgument("failed to allocate gateway (): No available addresses on this pool")

    def _taken(self) -> tuple[str, ...]:
        """The reserved addresses."""
        return tuple(self._address(address, "auxiliary address") for address in self.reserved.values())

    def _inside(self) -> str | None:
        """The range that addresses are given from."""
        if self.subnet is None or not self.ip_range:
            return None
        part = _part(self.ip_range)
        if part.version != self.subnet.version or not _is_part(part, self.subnet):
            raise InvalidArgument(f"no matching subnet for range {self.ip_range}", why=f"the subnet is {self.subnet}")
        return str(part)

    def _address(self, text: str, what: str) -> str:
        subnet = self.subnet
        assert subnet is not None
        address = _address(text)
        if address not in subnet:
            raise InvalidArgument(f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address")
        ends = (subnet.network_address, subnet.broadcast_address if subnet.version == 4 else None)
        if address in ends:
            raise Forbidden(
                f"failed to allocate {what} ({text}): Address already in use",
                why=f"it is the first or the last address of {subnet}",
            )
        return str(address)


def _is_part(part: IPv4Network | IPv6Network, subnet: IPv4Network | IPv6Network) -> bool:
    return part[0] in subnet and part[-1] in subnet


def _subnet(text: str) -> IPv4Network:
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidArgument(f"invalid subnet {text}: invalid CIDR block notation", why=str(error)) from None
    if network.prefixlen > 30:
        raise InvalidArgument(
            "failed to allocate gateway (): No available addresses on this pool",
            why=f"{text} has no room for a gateway and a container",
            fix="choose a subnet of /30 or more addresses",
        )
    return network


def _part(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid ip-range {text}", why=str(error)) from None


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid IP address: {text}", why=str(error)) from None
