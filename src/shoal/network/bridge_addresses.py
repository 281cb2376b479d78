"""The addresses of a network in both families: which its gateway has, and who of its containers has which."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Protocol, TypeVar

from shoal.errors import InvalidArgument, ShoalError
from shoal.network.bridge_config import BridgeConfig, Ipv6Config
from shoal.network.endpoint import Endpoint
from shoal.network.ipam import Pool

Interface = TypeVar("Interface", IPv4Interface, IPv6Interface)


@dataclass(frozen=True, slots=True)
class BridgeAddresses:
    """The gateways of a network with their subnets, which the bridge mostly has as its own addresses."""

    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None = None


def adopted_addresses(found: Collection[IPv4Interface | IPv6Interface], config: BridgeConfig) -> BridgeAddresses:
    """The first of each family that an operator's bridge has. Raises: InvalidArgument when it lacks one."""
    ipv4 = next(address for address in found if isinstance(address, IPv4Interface))
    if config.ipv6 is None:
        return BridgeAddresses(ipv4)
    ipv6 = next((address for address in found if isinstance(address, IPv6Interface)), None)
    if ipv6 is None:
        raise InvalidArgument(
            f"the bridge {config.bridge} has no IPv6 address",
            fix=f"ip address add fd00:1:2:3::1/64 dev {config.bridge}, or start shoald without --ipv6",
        )
    return BridgeAddresses(ipv4, ipv6)


class Addressed(Protocol):
    """What a network's configuration says of its containers' addresses."""

    @property
    def name(self) -> str:
        """The network's."""

    @property
    def ip_range(self) -> str | None:
        """The part of its subnet that is handed out, if not all of it is."""

    @property
    def reserved(self) -> tuple[str, ...]:
        """Addresses that are never handed out."""

    @property
    def ipv6(self) -> Ipv6Config | None:
        """The same for IPv6, where the network has it."""


class AddressPools:
    """The addresses of a network's containers."""

    def __init__(self, config: Addressed, addresses: BridgeAddresses) -> None:
        self._name = config.name
        self.addresses = addresses
        self.ipv4: Pool | None = None
        if addresses.ipv4 is not None:
            self.ipv4 = _pool(addresses.ipv4, config.ip_range, config.reserved)
        self.ipv6: Pool | None = None
        if addresses.ipv6 is not None and config.ipv6 is not None:
            self.ipv6 = _pool(addresses.ipv6, config.ipv6.ip_range, config.ipv6.reserved)

    @property
    def prefixes(self) -> tuple[int, int]:
        """The lengths of the prefixes, 0 for a family that there is not."""
        ipv4, ipv6 = self.ipv4, self.ipv6
        return ipv4.subnet.prefixlen if ipv4 else 0, ipv6.subnet.prefixlen if ipv6 else 0

    @property
    def gateways(self) -> tuple[str, str]:
        """The gateways, "" for a family that there is not."""
        ipv4, ipv6 = self.ipv4, self.ipv6
        return str(ipv4.gateway) if ipv4 else "", str(ipv6.gateway) if ipv6 else ""

    def take(self, ip: str, ip6: str) -> tuple[str, str]:
        """The asked addresses, or the lowest free ones for "", held from now on; both or none.

        That of a family which the network lacks is "". Raises: Unavailable, InvalidArgument, Forbidden.
        """
        if ip6 and self.ipv6 is None:
            raise InvalidArgument(
                f"no configured subnet or ip-range contain the IP address {ip6}",
                why=f"the network {self._name} has no IPv6",
                fix="docker network create --ipv6 --subnet fd00:1:2:3::/64 NAME",
            )
        if ip and self.ipv4 is None:
            raise InvalidArgument(
                f"no configured subnet or ip-range contain the IP address {ip}",
                why=f"the network {self._name} has no IPv4",
                fix="docker network create --subnet 10.9.0.0/24 NAME",
            )
        first = _take(self.ipv4, ip)
        try:
            return first, _take(self.ipv6, ip6)
        except ShoalError:
            self.give_back(first, "")
            raise

    def take_again(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as it is now, its addresses held as before; without IPv6 where the network has none any more.

        Raises: InvalidArgument, Forbidden; then none is held.
        """
        if self.ipv6 is None and endpoint.ip6:
            ports = tuple(port for port in endpoint.ports if not port.is_ipv6)
            endpoint = replace(endpoint, ip6="", prefix6=0, gateway6="", ports=ports)
        if self.ipv4 is not None:
            self.ipv4.reserve(endpoint.ip)
        if self.ipv6 is not None and endpoint.ip6:
            try:
                self.ipv6.reserve(endpoint.ip6)
            except ShoalError:
                self.give_back(endpoint.ip, "")
                raise
        return endpoint

    def give_back(self, ip: str, ip6: str) -> None:
        """Free addresses; harmless for those that are not held."""
        if self.ipv4 is not None and ip:
            self.ipv4.release(ip)
        if self.ipv6 is not None and ip6:
            self.ipv6.release(ip6)


def _take(pool: Pool | None, address: str) -> str:
    if pool is None:
        return ""
    return pool.reserve(address) if address else pool.allocate()


def _pool(address: IPv4Interface | IPv6Interface, ip_range: str | None, reserved: tuple[str, ...]) -> Pool:
    return Pool(address.network, address.ip, within=ip_range, reserved=reserved)


def choose_address(
    wanted: Interface | None,
    before: Interface | None,
    claimed: Collection[IPv4Network | IPv6Network],
    pick: Callable[[], Interface],
    *,
    in_use: bool,
) -> tuple[Interface, list[str]]:
    """The address of a bridge: the one that is `wanted`, or that it had `before`, or one of a free subnet; and notes.

    `claimed` is what the host uses itself; `in_use`: containers that live have addresses of `before`.
    """
    if before is not None and in_use and wanted not in (None, before):
        return before, [f"--bip {wanted} waits until no container of {before.network} is left"]
    if wanted is not None:
        return wanted, [] if before == wanted else _overlaps(wanted.network, claimed)
    if before is not None and (in_use or not _overlaps(before.network, claimed)):
        return before, []
    return pick(), []


def _overlaps(subnet: IPv4Network | IPv6Network, claimed: Collection[IPv4Network | IPv6Network]) -> list[str]:
    """A sentence about what the host would no longer reach through this subnet."""
    lost = next((claim for claim in claimed if claim.prefixlen > 0 and _meet(claim, subnet)), None)
    return (
        [f"the subnet {subnet} overlaps with {lost}, which the host uses: part of it is out of reach"] if lost else []
    )


def _meet(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return one.version == other.version and one.overlaps(other)
