"""Keeping web pages out of a TCP listener. Pure.

Whoever may speak to the API is root, and a browser speaks to 127.0.0.1 for every page that it shows. Two marks tell
such requests from a client's:

    a page that posts across origins     Origin, or Sec-Fetch-Site, which scripts cannot leave out
    a page whose own name was made to    Host is that name: a client that connects to the loopback
    lead here (DNS rebinding)            knows it by its address, or as localhost

Sources: Fetch standard §Origin header; W3C Fetch Metadata. A unix socket cannot be reached from a page.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from shoal.errors import Forbidden
from shoal.server.messages import Header

_OWN_SITES = frozenset((b"none", b"same-origin"))


def refuse_pages(headers: Sequence[Header]) -> None:
    """Returns for a request that no web page of others can have made; names in `headers` are in lower case.

    Raises: Forbidden.
    """
    host = b""
    for name, value in headers:
        if name == b"host":
            host = value
            if not _names_this_machine(value.decode("latin-1")):
                raise _forbidden(
                    f"the Host {value.decode('latin-1')!r} is not an address",
                    "connect to tcp://127.0.0.1:PORT or tcp://localhost:PORT",
                )
    for name, value in headers:
        if name == b"origin" and value.lower() not in (b"http://" + host.lower(), b"https://" + host.lower()):
            raise _forbidden("a web page of another origin made it", "use a client, not a browser")
        if name == b"sec-fetch-site" and value not in _OWN_SITES:
            raise _forbidden("a web page of another site made it", "use a client, not a browser")


def _names_this_machine(host: str) -> bool:
    """Whether a Host header's value is an IP address or a name that no name server can give away."""
    name, separator, port = host.rpartition(":")
    if not separator or not port.isdecimal():
        name = host
    name = name.strip("[]").lower().rstrip(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _forbidden(why: str, fix: str) -> Forbidden:
    return Forbidden("the request is refused", why=why, fix=fix)
