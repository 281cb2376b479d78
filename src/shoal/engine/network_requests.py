"""What a request to make a network says of addresses, checked as Docker does: all that is wrong at once. Pure.

Source: the sentences of Docker 25 and later, "invalid network config".
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Network, NetmaskValueError

from shoal.api.network import IPAM, IPAMPool
from shoal.errors import InvalidArgument, Unsupported


def check_ipam(ipam: IPAM) -> None:
    """Raises: InvalidArgument with one line for each thing that is wrong; Unsupported for IPv6."""
    problems = [problem for pool in ipam.config for problem in _problems(pool)]
    if problems:
        raise InvalidArgument("invalid network config:\n" + "\n".join(problems))


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
    if str(subnet) != pool.subnet:
        yield f"invalid subnet {pool.subnet}: it should be {subnet}"
    yield from _range_problems(pool.ip_range, subnet)
    for what, text in asked[1:]:
        yield from _address_problems(what, text, subnet)


def _network(text: str) -> IPv4Network | None:
    """The block of a text, whatever stands in its host part; None where it is none."""
    if "/" not in text:
        return None
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        _refuse_ipv6(text)
        return None


def _refuse_ipv6(text: str) -> None:
    try:
        IPv6Network(text, strict=False)
    except ValueError:
        return
    raise Unsupported("IPv6 networks are not served yet", fix="leave --ipv6 and IPv6 subnets out")


def _range_problems(text: str, subnet: IPv4Network) -> Iterator[str]:
    if not text:
        return
    part = _network(text)
    if part is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
    elif str(part) != text:
        yield f"invalid ip-range {text}: it should be {part}"
    elif part.prefixlen < subnet.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
    elif not part.subnet_of(subnet):
        yield f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"


def _address_problems(what: str, text: str, subnet: IPv4Network) -> Iterator[str]:
    if not text:
        return
    try:
        address = IPv4Address(text)
    except AddressValueError:
        yield f"invalid {what} {text}: invalid address"
        return
    if address not in subnet:
        yield f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address"
