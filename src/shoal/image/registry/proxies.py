"""Which proxy stands before a host: `http_proxy`, `https_proxy` and `no_proxy`, as Go's programs read them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from shoal.errors import InvalidArgument

_MASK = "xxxxx:xxxxx"


def setting(environment: Mapping[str, str], name: str) -> str:
    """The variable `name`, which is in lower case, or its twin in upper case; "" if neither is there."""
    return environment.get(name) or environment.get(name.upper()) or ""


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """The proxy for `url`, "" for none. Loopback is never proxied, as in Go. Raises: InvalidArgument."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return ""
    proxy = setting(environment, f"{parts.scheme}_proxy")
    place = parts.netloc.rpartition("@")[2].lower()
    if not proxy or any(_is_spared(host, place, rule) for rule in setting(environment, "no_proxy").split(",")):
        return ""
    return check_proxy(proxy)


def check_proxy(text: str) -> str:
    """The proxy's address with its scheme. Raises: InvalidArgument for what is no HTTP proxy."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidArgument(f"invalid proxy {masked(text)!r}", why="it is not http://HOST:PORT or https://HOST:PORT")
    return url


def masked(proxy: str) -> str:
    """The address without the name and the password in it, as Docker shows it."""
    before, slashes, rest = proxy.rpartition("://")
    place, slash, path = rest.partition("/")
    if "@" not in place:
        return proxy
    return f"{before}{slashes}{_MASK}@{place.rpartition('@')[2]}{slash}{path}"


def _is_spared(host: str, place: str, rule: str) -> bool:
    """Whether an entry of NO_PROXY means this host: `*`, a host, its port too, a network, or a domain's suffix."""
    rule = rule.strip().lower()
    if not rule:
        return False
    if "/" in rule:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    suffix = rule.removeprefix("*").removeprefix(".")
    return rule in ("*", host, place, f"[{host}]") or (suffix != "" and host.endswith(f".{suffix}"))
