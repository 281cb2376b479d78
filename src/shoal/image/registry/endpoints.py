"""Where a registry is reached: which addresses are tried for a domain, and whether their certificates count. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shoal.errors import InvalidArgument
from shoal.oci.reference import DEFAULT_DOMAIN

INDEX_SERVER = "https://index.docker.io/v1/"
_HUB = "https://registry-1.docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_LOOPBACK = ("127.0.0.0/8", "::1/128")
CERTIFICATES = (Path("/etc/shoal/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What the daemon was told about registries. `insecure` has hosts (`host[:port]`) and networks."""

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = CERTIFICATES
    environment: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = "shoal"

    @property
    def insecure_networks(self) -> tuple[str, ...]:
        """The networks whose registries need no valid certificate."""
        return (*(entry for entry in self.insecure if "/" in entry), *_LOOPBACK)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a registry: `url` has no slash at its end, `host` is as certs.d spells it."""

    url: str
    host: str
    verifies: bool = True
    is_mirror: bool = False


def endpoints_for(domain: str, settings: RegistrySettings, *, with_mirrors: bool = True) -> list[Endpoint]:
    """The addresses of the registry `domain`, in the order in which they are tried."""
    if domain in _HUB_NAMES:
        mirrors = settings.mirrors if with_mirrors else ()
        found = [_mirror(url, settings) for url in mirrors]
        return [*found, Endpoint(_HUB, "registry-1.docker.io")]
    if is_insecure(domain, settings):
        return [Endpoint(f"https://{domain}", domain, verifies=False), Endpoint(f"http://{domain}", domain)]
    return [Endpoint(f"https://{domain}", domain)]


def _mirror(url: str, settings: RegistrySettings) -> Endpoint:
    host = urlsplit(url).netloc
    return Endpoint(url.rstrip("/"), host, verifies=not is_insecure(host, settings), is_mirror=True)


def is_insecure(domain: str, settings: RegistrySettings) -> bool:
    """Whether `domain` may be spoken to without a valid certificate: listed, or an address in a listed network."""
    if domain in settings.insecure:
        return True
    host = urlsplit(f"//{domain}").hostname or ""
    if host in settings.insecure:
        return True
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    networks = (ipaddress.ip_network(network, strict=False) for network in settings.insecure_networks)
    return any(address in network for network in networks)


def domain_of_server(address: str) -> str:
    """The domain that the server address of a login means: `https://index.docker.io/v1/` is `docker.io`."""
    text = address.partition("://")[2] or address
    host = text.partition("/")[0]
    return DEFAULT_DOMAIN if not host or host in _HUB_NAMES else host


def check_mirror(url: str) -> str:
    """The mirror's address as it is used. Raises: InvalidArgument with dockerd's sentences."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidArgument(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{url}"')
    if parts.query or parts.fragment or parts.path not in ("", "/"):
        raise InvalidArgument(f'invalid mirror: path, query, or fragment at end of the URI "{url}"')
    if parts.username is not None:
        raise InvalidArgument("invalid mirror: username/password not allowed in URI")
    return url.rstrip("/")


def check_insecure(entry: str) -> str:
    """The host or network as it is used. Raises: InvalidArgument."""
    for scheme in ("http://", "https://"):
        if entry.lower().startswith(scheme):
            raise InvalidArgument(f"insecure registry {entry} should not contain '://'")
    if "/" in entry:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError as cause:
            raise InvalidArgument(f"insecure registry {entry} is not valid", why=str(cause)) from None
    if not entry or entry.startswith("-"):
        raise InvalidArgument(f"insecure registry {entry} is not valid")
    return entry
