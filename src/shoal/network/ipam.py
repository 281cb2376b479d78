"""Address management: which IPv4 subnet a bridge gets, and which address of its subnet a container. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
    ip_network,
)

from shoal.errors import Forbidden, InvalidArgument, Unavailable

# The same ranges that Docker tries, in its order: sixteen-bit ones first, then pieces of 192.168.
DEFAULT_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
_HEX = frozenset("0123456789abcdefABCDEF")
_SMALLEST_PREFIX = 30  # gateway and one container


def candidate_subnets(pools: Iterable[tuple[str, int]] = DEFAULT_POOLS) -> Iterator[IPv4Network]:
    """The subnets that may be chosen, in order: each pool cut into pieces of its prefix length."""
    for pool, prefix in pools:
        yield from IPv4Network(pool).subnets(new_prefix=prefix)


def pick_pool(taken: Iterable[IPv4Network], pools: Iterable[tuple[str, int]] = DEFAULT_POOLS) -> IPv4Network:
    """The first subnet of the pools that overlaps with nothing `taken`.

    `taken` is what the host routes to, its own addresses, its name servers. A default route (/0) is no claim.
    Raises: Unavailable.
    """
    pools = tuple(pools)
    claims = [network for network in taken if network.prefixlen > 0]
    for candidate in candidate_subnets(pools):
        if not any(candidate.overlaps(claim) for claim in claims):
            return candidate
    ends = (pools[0][0], pools[-1][0])
    raise Unavailable(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        why=f"networks, and what else the host has routes to, take all of {' … '.join(dict.fromkeys(ends))}",
        fix="remove networks: `docker network prune`; or name a subnet: `docker network create --subnet 10.200.0.0/24`,"
        " for the default bridge `--bip 10.200.0.1/24`; or give shoald more: "
        "`--default-address-pool base=10.200.0.0/16,size=24`",
    )


def first_gateway(subnet: IPv4Network) -> IPv4Interface:
    """What the bridge of a subnet has unless it is told another address."""
    return IPv4Interface((int(subnet.network_address) + 1, subnet.prefixlen))


def parse_bip(text: str) -> IPv4Interface:
    """The bridge's address and subnet of `--bip`, such as "192.168.5.1/24".

    Raises: InvalidArgument.
    """
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        bip = IPv4Interface(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidArgument(
            f'invalid --bip "{text}"', why=str(error), fix="give an address with a prefix: `--bip 192.168.5.1/24`"
        ) from None
    network = bip.network
    if network.prefixlen > _SMALLEST_PREFIX:
        raise InvalidArgument(
            f'invalid --bip "{text}"', why="the subnet has no room for a container", fix="use a prefix of /30 or less"
        )
    if bip.ip in (network.network_address, network.broadcast_address):
        raise InvalidArgument(
            f'invalid --bip "{text}"',
            why="this is the subnet's own or its broadcast address",
            fix=f"name the bridge's address, such as `--bip {network.network_address + 1}/{network.prefixlen}`",
        )
    return bip


def parse_mac(text: str) -> str:
    """A MAC address in its usual form, lower case with colons.

    Raises: InvalidArgument in Docker's words.
    """
    digits = text.replace("-", ":").split(":")
    if len(digits) != 6 or any(len(pair) != 2 or not set(pair) <= _HEX for pair in digits):
        raise InvalidArgument(f"invalid MAC address: {text}", fix="give six bytes: `--mac-address 02:42:00:00:00:05`")
    if int(digits[0], 16) & 1 or set(digits) == {"00"}:
        raise InvalidArgument(
            f"invalid MAC address: {text}", why="this is a group's address", fix="choose one whose first byte is even"
        )
    return ":".join(digits).lower()


class Pool:
    """The addresses of one subnet of either family: the lowest free one is given first, as Docker does.

    Constant time and memory for any size of subnet: what was given back waits in a heap, the rest is a counter.
    Invariant: an address is at one place only: held, in the heap, or not below the counter.
    """

    __slots__ = ("_address", "_first", "_held", "_last", "_last_given", "_next", "_returned", "gateway", "subnet")

    def __init__(
        self,
        subnet: IPv4Network | IPv6Network,
        gateway: IPv4Address | IPv6Address,
        *,
        within: str | None = None,
        reserved: Iterable[str] = (),
    ) -> None:
        """`within` (an `--ip-range`) bounds what `allocate` gives; `reserved` addresses are never given."""
        self.subnet = subnet
        self.gateway = gateway
        self._address: type[IPv4Address] | type[IPv6Address] = type(gateway)
        part = ip_network(within, strict=False) if within else subnet
        self._first = self._next = max(int(part.network_address), int(subnet.network_address) + 1)
        # IPv6 has no broadcast address: there the last one is like any other.
        self._last = int(subnet.broadcast_address) - (subnet.version == 4)
        self._last_given = min(int(part.broadcast_address), self._last)
        self._returned: list[int] = []
        self._held: set[int] = {int(gateway), *(int(self._address(address)) for address in reserved)}

    def allocate(self) -> str:
        """The lowest free address, held from now on.

        Raises: Unavailable when all are in use.
        """
        while self._returned:
            number = heapq.heappop(self._returned)
            if number not in self._held:
                return self._hold(number)
        while self._next <= self._last_given:
            number = self._next
            self._next += 1
            if number not in self._held:
                return self._hold(number)
        count = self._last_given - self._first + 1 - (self._first <= int(self.gateway) <= self._last_given)
        raise Unavailable(
            f"no available IPv{self.subnet.version} addresses on this network's address pools",
            why=f"all {count} container addresses of {self.subnet} are in use",
            fix="stop containers, or use a network with a larger --subnet; that of the default one is shoald's --bip",
        )

    def reserve(self, ip: str) -> str:
        """The asked address, held from now on.

        Raises: InvalidArgument (not an address, or not of this subnet), Forbidden (in use).
        """
        try:
            address = self._address(ip)
        except AddressValueError as error:
            raise InvalidArgument(f"invalid IPv{self.subnet.version} address: {ip}", why=str(error)) from None
        number = int(address)
        if address not in self.subnet or not int(self.subnet.network_address) < number <= self._last:
            raise InvalidArgument(
                f"no configured subnet or ip-range contain the IP address {ip}",
                fix=f"choose one of {self.subnet}",
            )
        if number in self._held:
            raise Forbidden("Address already in use", why=f"{ip} is held by another container or the bridge")
        return self._hold(number)

    def release(self, ip: str) -> None:
        """Free an address; harmless when it isn't held. The gateway stays held."""
        number = int(self._address(ip))
        if number == int(self.gateway) or number not in self._held:
            return
        self._held.discard(number)
        # Above the counter it is found again by counting; a second way to it would give it out twice.
        if self._first <= number < self._next:
            heapq.heappush(self._returned, number)

    def _hold(self, number: int) -> str:
        self._held.add(number)
        return str(self._address(number))
