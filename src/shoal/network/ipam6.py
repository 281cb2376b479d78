"""Where IPv6 subnets come from: a daemon's own unique local prefix, cut into /64s. Pure. Source: RFC 4193."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address, IPv6Interface, IPv6Network, NetmaskValueError

from shoal.errors import InvalidArgument, Unavailable

SMALLEST_PREFIX6 = 126  # the subnet's own address, gateway, and a container
_UNIQUE_LOCAL = b"\xfd"
_PREFIX, _SUBNET_PREFIX = 48, 64


def unique_local_pool(seed: str) -> tuple[str, int]:
    """The pool of the daemon that is known by `seed`: a /48 that no other machine is likely to have, in /64s."""
    prefix = _UNIQUE_LOCAL + hashlib.sha256(seed.encode()).digest()[:5]
    return f"{IPv6Address(prefix + bytes(10))}/{_PREFIX}", _SUBNET_PREFIX


def pick_subnet6(taken: Iterable[IPv6Network], pools: Iterable[tuple[str, int]]) -> IPv6Network:
    """The first subnet of the pools that overlaps with nothing `taken`; a default route is no claim.

    Raises: Unavailable.
    """
    pools = tuple(pools)
    claims = [network for network in taken if network.prefixlen > 0]
    for text, prefix in pools:
        pool, size = IPv6Network(text), 1 << (128 - prefix)
        start = int(pool.network_address)
        while start <= int(pool.broadcast_address):
            candidate = IPv6Network((start, prefix))
            claim = next((claim for claim in claims if claim.overlaps(candidate)), None)
            if claim is None:
                return candidate
            # The next piece behind what is claimed: a pool may have more pieces than one can count.
            end = max(int(claim.broadcast_address), int(candidate.broadcast_address))
            start = (end // size + 1) * size
    raise Unavailable(
        "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network",
        why=f"networks, and what else the host has routes to, take all of {', '.join(text for text, _ in pools)}",
        fix="name a subnet: `docker network create --ipv6 --subnet fd00:1:2:3::/64`; or give shoald more: "
        "`--default-address-pool base=fd00:1:2::/48,size=64`",
    )


def parse_subnet6(text: str) -> IPv6Network:
    """The subnet that a text names. Raises: InvalidArgument for none, and for one without room for a container."""
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        network = IPv6Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidArgument(f"invalid subnet {text}: invalid CIDR block notation", why=str(error)) from None
    if network.prefixlen > SMALLEST_PREFIX6:
        raise InvalidArgument(
            "failed to allocate gateway (): No available addresses on this pool",
            why=f"{text} has no room for a gateway and a container",
            fix=f"choose a subnet of /{SMALLEST_PREFIX6} or more addresses; /64 is the usual one",
        )
    return network


def first_gateway6(subnet: IPv6Network) -> IPv6Interface:
    """What the bridge of a subnet has unless it is told another address."""
    return IPv6Interface((int(subnet.network_address) + 1, subnet.prefixlen))


def link_local(mac: str) -> str:
    """The address that an interface of this MAC gives itself on its link. Source: RFC 4291, appendix A."""
    first, *rest = bytes.fromhex(mac.replace(":", ""))
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])))
