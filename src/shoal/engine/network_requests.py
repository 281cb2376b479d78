"""What a request to make a network says of addresses, checked as Docker does: all that is wrong at once. Pure.

Source: the sentences of Docker 25 and later, "invalid network config".
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from shoal.api.network import IPAM, IPAMPool
from shoal.errors import Forbidden, InvalidArgument

_Network = IPv4Network | IPv6Network


def read_pools(ipam: IPAM, driver: str, *, ipv4: bool, ipv6: bool) -> tuple[IPAMPool, IPAMPool, list[str]]:
    """What is asked of IPv4 and of IPv6 addresses, and warnings. What is of a family that is off is passed over.

    Raises: InvalidArgument with one line for each thing that is wrong; Forbidden for several subnets of a family.
    """
    pools = [pool for pool in ipam.config if (ipv6 if _is_ipv6(pool) else ipv4)]
    passed_over = [pool for pool in ipam.config if pool not in pools]
    problems = [problem for pool in pools for problem in _problems(pool)]
    if problems:
        raise InvalidArgument("invalid network config:\n" + "\n".join(problems))
    families = [pool for pool in pools if not _is_ipv6(pool)], [pool for pool in pools if _is_ipv6(pool)]
    if any(len(family) > 1 for family in families):
        raise Forbidden(f"{driver} driver doesn't support multiple subnets", fix="name one --subnet of each family")
    first, second = (family[0] if family else IPAMPool() for family in families)
    fixes = {True: "add --ipv6", False: "leave --ipv4=false out"}
    return first, second, [f"the subnet {pool.subnet} is not used: {fixes[_is_ipv6(pool)]}" for pool in passed_over]


def _is_ipv6(pool: IPAMPool) -> bool:
    return ":" in pool.subnet


def _problems(pool: IPAMPool) -> Iterator[str]:
    asked = [("ip-range", pool.ip_range), ("gateway", pool.gateway)]
    asked += [("auxiliary address", address) for address in pool.auxiliary_addresses.values()]
    if not pool.subnet:
        if any(text for _, text in asked):
            yield "invalid subnet : invalid CIDR block notation"
        return
    subnet = _network(pool.subnet)
    if subnet is None:
        yield f"invalid subnet {pool.subnet}: invalid CIDR block notation"
        return
    if str(subnet) != pool.subnet.lower():
        yield f"invalid subnet {pool.subnet}: it should be {subnet}"
    yield from _range_problems(pool.ip_range, subnet)
    for what, text in asked[1:]:
        yield from _address_problems(what, text, subnet)


def _network(text: str) -> _Network | None:
    """The block of a text, whatever stands in its host part; None where it is none."""
    if "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _range_problems(text: str, subnet: _Network) -> Iterator[str]:
    if not text:
        return
    part = _network(text)
    if part is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
    elif part.version != subnet.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"
    elif str(part) != text.lower():
        yield f"invalid ip-range {text}: it should be {part}"
    elif part.prefixlen < subnet.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
    elif part[0] not in subnet:
        yield f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"


def _address_problems(what: str, text: str, subnet: _Network) -> Iterator[str]:
    if not text:
        return
    try:
        address = ip_address(text)
    except ValueError:
        yield f"invalid {what} {text}: invalid address"
        return
    if address.version != subnet.version:
        yield f"invalid {what} {text}: parent subnet is an IPv{subnet.version} block"
    elif address not in subnet:
        yield f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address"
