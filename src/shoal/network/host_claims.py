"""What the host itself uses of all addresses, and the lock under which a daemon chooses among the others. Blocking."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_address

from shoal.errors import SyscallError, Unavailable
from shoal.linux.netlink import Netlink

_RESOLV_CONF = "/etc/resolv.conf"
_LOCK_NAME = "\0shoal-network-pools"
_LOCK_TIMEOUT_S = 10.0
_LOCK_RETRY_S = 0.01
_RT_TABLE_LOCAL = 255


def host_claims(netlink: Netlink, *, besides: int | None = None) -> list[IPv4Network]:
    """Routes, addresses and name servers of the host, those of the interface with the index `besides` left out.

    Raises: SyscallError.
    """
    claims = [
        IPv4Network(f"{address.address}/{address.prefix}", strict=False)
        for address in netlink.addr_list()
        if address.family == socket.AF_INET and address.index != besides
    ]
    claims += [
        IPv4Network(f"{route.destination}/{route.prefix}")
        for route in netlink.route_list()
        if route.family == socket.AF_INET and route.index != besides and route.table != _RT_TABLE_LOCAL
    ]
    return claims + [IPv4Network(server) for server in _name_servers() if isinstance(server, IPv4Address)]


def host_claims6(netlink: Netlink, *, besides: int | None = None) -> list[IPv6Network]:
    """The same for IPv6; what each link has of its own is nobody's. Raises: SyscallError."""
    claims = [
        IPv6Interface(f"{address.address}/{address.prefix}").network
        for address in netlink.addr_list()
        if address.family == socket.AF_INET6 and address.index != besides
    ]
    claims += [
        IPv6Network(f"{route.destination}/{route.prefix}")
        for route in netlink.route_list()
        if route.family == socket.AF_INET6 and route.index != besides and route.table != _RT_TABLE_LOCAL
    ]
    claims += [IPv6Network(server) for server in _name_servers() if isinstance(server, IPv6Address)]
    return [claim for claim in claims if not (claim.is_link_local or claim.is_multicast or claim.is_loopback)]


def _name_servers() -> list[IPv4Address | IPv6Address]:
    """The host's name servers: a subnet over one of them would cut containers off from it."""
    found: list[IPv4Address | IPv6Address] = []
    try:
        with open(_RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(ip_address(words[1].partition("%")[0]))
            except ValueError:
                continue
    return found


@contextmanager
def pool_choice(sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Keep other daemons of this network namespace from choosing a subnet until the bridge has its address.

    An abstract socket is the lock: it exists per network namespace, as the routes do, and dies with its owner.
    Raises: Unavailable after ten seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as lock:
        for _ in range(int(_LOCK_TIMEOUT_S / _LOCK_RETRY_S)):
            try:
                lock.bind(_LOCK_NAME)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise SyscallError("bind", "@shoal-network-pools", error.errno or errno.EIO) from None
            sleep(_LOCK_RETRY_S)
        else:
            raise Unavailable(
                "no subnet could be chosen",
                why="another shoald has been choosing one for ten seconds",
                fix="look for a hanging shoald: `ss -xlp | grep shoal-network-pools`",
            )
        yield
