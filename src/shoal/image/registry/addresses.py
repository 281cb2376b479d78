"""Addresses that registries give: where they may lead, whom credentials are for, what errors show of them. Pure."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urljoin, urlsplit, urlunsplit

from shoal.errors import InvalidArgument


def followed(current: str, target: str) -> str:
    """Where a redirect from `current` leads. Raises: InvalidArgument where it must not be followed.

    Followed are http and https, but not out of https, and not to another host that `is_forbidden`.
    """
    try:
        url = urljoin(current, target)
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _refused(current, "what is no address") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise _refused(current, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    if is_tls(current) and not is_tls(url):
        raise _refused(current, f"{parts.scheme}://{parts.netloc}, which is not encrypted")
    if host != urlsplit(current).hostname and is_forbidden(host):
        raise _refused(current, f"{parts.scheme}://{parts.netloc}")
    return url


def is_forbidden(host: str) -> bool:
    """Whether `host`, in any spelling, is link-local, multicast or nobody's: no registry has to send us there.

    169.254.169.254 is where clouds tell a machine's secrets to whoever asks from it.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))  # 2852039166, 0xa9.0xfe.43518: resolvers take them
        except (OSError, ValueError):
            return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_link_local or address.is_multicast or address.is_unspecified


def is_tls(url: str) -> bool:
    """Whether `url` is spoken to in private."""
    return url.startswith("https://")


def origin_of(url: str) -> tuple[str, str]:
    """Scheme, host and port: whom credentials are for."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def without_query(url: str) -> str:
    """The address as an error may show it: what storages let themselves be opened by is in the query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _refused(current: str, where: str) -> InvalidArgument:
    return InvalidArgument(f'refusing the redirect of "{without_query(current)}"', why=f"it leads to {where[:200]}")
