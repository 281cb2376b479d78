"""Where a registry is reached: which addresses are tried for a domain, and whether their certificates count. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shoal.errors import InvalidArgument
from shoal.oci.reference import DEFAULT_DOMAIN, Reference, is_domain

INDEX_SERVER = "https://index.docker.io/v1/"
_HUB = "https://registry-1.docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_LOOPBACK = ("127.0.0.0/8", "::1/128")
CERTIFICATES = (Path("/etc/shoal/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class Mirror:
    """Another place for what the registry `domain` has: `url` has no path, `prefix` comes before the repositories."""

    domain: str
    url: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.url}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What the daemon was told about registries. `insecure` has hosts (`host[:port]`) and networks."""

    insecure: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    certificates: tuple[Path, ...] = CERTIFICATES
    environment: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = "shoal"
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    retry_pause_s: float = 0.25

    def mirrors_of(self, domain: str) -> list[Mirror]:
        """The mirrors of one registry, in the order in which they are asked."""
        return [mirror for mirror in self.mirrors if mirror.domain == domain]

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
    prefix: str = ""

    def path_of(self, repository: str) -> str:
        """What `repository` is called here."""
        return f"{self.prefix}/{repository}" if self.prefix else repository


def endpoints_for(domain: str, settings: RegistrySettings, *, with_mirrors: bool = True) -> list[Endpoint]:
    """The addresses of the registry `domain`, in the order in which they are tried."""
    domain = DEFAULT_DOMAIN if domain in _HUB_NAMES else domain
    found = [_of_mirror(mirror, settings) for mirror in settings.mirrors_of(domain)] if with_mirrors else []
    if domain == DEFAULT_DOMAIN:
        return [*found, Endpoint(_HUB, "registry-1.docker.io")]
    if is_insecure(domain, settings):
        return [*found, Endpoint(f"https://{domain}", domain, verifies=False), Endpoint(f"http://{domain}", domain)]
    return [*found, Endpoint(f"https://{domain}", domain)]


def _of_mirror(mirror: Mirror, settings: RegistrySettings) -> Endpoint:
    host = urlsplit(mirror.url).netloc
    verifies = not is_insecure(host, settings)
    return Endpoint(mirror.url, host, verifies=verifies, is_mirror=True, prefix=mirror.prefix)


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
    """The domain that the server address of a login means: `https://index.docker.io/v1/` is `docker.io`.

    Raises: InvalidArgument for what can't be a host.
    """
    text = address.partition("://")[2] or address
    host = text.partition("/")[0]
    if not host or host in _HUB_NAMES:
        return DEFAULT_DOMAIN
    if not is_domain(host):
        raise InvalidArgument(f"invalid server address {address!r}", fix="name the registry as HOST or HOST:PORT")
    return host


def parse_mirror(text: str) -> Mirror:
    """The mirror that `URL` (of Docker Hub) or `HOST[:PORT]=URL` means; the latter's path precedes the repositories.

    Raises: InvalidArgument with dockerd's sentences.
    """
    domain, equals, url = text.partition("=")
    is_of_hub = not equals or "/" in domain  # else the sign is in the address
    domain, url = (DEFAULT_DOMAIN, text) if is_of_hub else (domain, url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidArgument(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{url}"')
    if parts.username is not None:
        raise InvalidArgument("invalid mirror: username/password not allowed in URI")
    prefix = parts.path.strip("/")
    if parts.query or parts.fragment or (prefix and is_of_hub):
        raise InvalidArgument(f'invalid mirror: path, query, or fragment at end of the URI "{url}"')
    named = Reference.parse(f"{domain}/{prefix or 'any'}")
    if named.domain != domain or named.tag or named.digest:
        raise InvalidArgument(f'invalid mirror: "{text}" is not [HOST[:PORT]=]URL')
    return Mirror(DEFAULT_DOMAIN if domain in _HUB_NAMES else domain, f"{parts.scheme}://{parts.netloc}", prefix)


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
