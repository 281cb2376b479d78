"""The text of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, by Docker's rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from shoal.errors import InvalidArgument

HOST_GATEWAY = "host-gateway"
HOST_RESOLV_CONF = "/etc/resolv.conf"
# Where systemd-resolved keeps the real servers when the host's own file names only its stub on 127.0.0.53.
SYSTEMD_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
_STUB = "127.0.0.53"
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4")

_HOSTS_IPV4 = "127.0.0.1\tlocalhost\n"
_HOSTS_IPV6 = (
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


@dataclass(frozen=True, slots=True)
class ResolverOptions:
    """What `--dns`, `--dns-search` and `--dns-option` ask for; empty means: as on the host."""

    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(slots=True)
class _Resolver:
    """A parsed resolv.conf(5)."""

    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def hostname_file(hostname: str) -> str:
    """The text of /etc/hostname."""
    return f"{hostname}\n"


def hosts_file(
    *,
    hostname: str,
    domain: str = "",
    addresses: Sequence[str] = (),
    aliases: Sequence[str] = (),
    extra_hosts: Iterable[str] = (),
    host_gateway: str = "",
    links: Iterable[tuple[str, str]] = (),
    ipv6: bool = True,
) -> str:
    """The text of /etc/hosts for a container with an own network; `addresses` are one for each network.

    `extra_hosts` are `--add-host` entries, "name:address", with `host-gateway` for `host_gateway`; `links` are
    (address, names) of linked containers.
    Raises: InvalidArgument.
    """
    text = _HOSTS_IPV4 + (_HOSTS_IPV6 if ipv6 else "")
    text += extra_hosts_lines(extra_hosts, host_gateway)
    text += "".join(f"{address}\t{names}\n" for address, names in links)
    names = [f"{hostname}.{domain}", hostname] if domain else [hostname]
    for address in filter(None, addresses):
        text += f"{address}\t{' '.join([*names, *aliases])}\n"
    return text


def host_network_hosts_file(host_text: str, *, extra_hosts: Iterable[str] = (), host_gateway: str = "") -> str:
    """The text of /etc/hosts for a container on the host's network: the host's own, and what was added.

    Raises: InvalidArgument.
    """
    if host_text and not host_text.endswith("\n"):
        host_text += "\n"
    return host_text + extra_hosts_lines(extra_hosts, host_gateway)


def extra_hosts_lines(extra_hosts: Iterable[str], host_gateway: str) -> str:
    """The lines of `--add-host name:address`.

    Raises: InvalidArgument in Docker's words.
    """
    return "".join(f"{address}\t{name}\n" for name, address in parse_extra_hosts(extra_hosts, host_gateway))


def parse_extra_hosts(extra_hosts: Iterable[str], host_gateway: str) -> list[tuple[str, str]]:
    """The (name, address) pairs of `HostConfig.ExtraHosts`, `host-gateway` resolved.

    Raises: InvalidArgument in Docker's words.
    """
    pairs: list[tuple[str, str]] = []
    for entry in extra_hosts:
        name, separator, address = entry.partition(":")
        if not separator or not name or any(character.isspace() for character in name):
            raise InvalidArgument(f'bad format for add-host: "{entry}"', fix="use `--add-host name:address`")
        if address == HOST_GATEWAY:
            if not host_gateway:
                raise InvalidArgument(
                    "unable to derive the IP value for host-gateway",
                    fix="start shoald with a default bridge, or name the address itself",
                )
            address = host_gateway
        address = address.strip("[]")
        try:
            ip_address(address)
        except ValueError:
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
        pairs.append((name, address))
    return pairs


def parse_server(text: str) -> str:
    """The address of a `--dns`. Raises: InvalidArgument in Docker's words."""
    try:
        ip_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid IP address: {text}", fix="give `--dns` an IP address") from None
    return text


def resolv_conf_source(host_text: str) -> str:
    """The path of the file to start from: systemd-resolved's where the host names only its local stub."""
    servers = _parse(host_text).servers
    return SYSTEMD_RESOLV_CONF if servers == [_STUB] else HOST_RESOLV_CONF


def resolv_conf_file(host_text: str, options: ResolverOptions | None = None, *, ipv6: bool = False) -> str:
    """The text of /etc/resolv.conf for a container with an own network.

    Name servers on the host's loopback can't be reached from there and are left out, those on IPv6 as well unless
    `ipv6`; if none is left, public ones take their place, as with Docker. Asked for ones stay as they are.
    Raises: InvalidArgument.
    """
    options = options or ResolverOptions()
    resolver = _parse(host_text)
    _override(resolver, options)
    if not options.servers:
        resolver.servers = [server for server in resolver.servers if _reachable(server, ipv6=ipv6)]
        if not resolver.servers:
            resolver.servers = list(_PUBLIC_SERVERS)
    return _render(resolver)


def resolver_conf_file(host_text: str, resolver_address: str, options: ResolverOptions | None = None) -> str:
    """The text of /etc/resolv.conf for a container that shoal resolves names for, at `resolver_address`.

    Search domains and options are the host's unless asked for. A name without a dot goes out as it is, as with Docker.
    Raises: InvalidArgument.
    """
    resolver = _parse(host_text)
    _override(resolver, options or ResolverOptions())
    resolver.servers = [resolver_address]
    if not any(option.startswith("ndots:") for option in resolver.options):
        resolver.options.append("ndots:0")
    return _render(resolver)


def name_servers(text: str) -> list[str]:
    """The addresses of the name servers in a resolv.conf; what is no address is left out."""
    found = []
    for server in _parse(text).servers:
        try:
            ip_address(server)
        except ValueError:
            continue
        found.append(server)
    return found


def host_network_resolv_conf_file(host_text: str, options: ResolverOptions | None = None) -> str:
    """The text of /etc/resolv.conf for a container on the host's network: the host's own unless options ask.

    Raises: InvalidArgument.
    """
    if options is None or not (options.servers or options.search or options.options):
        return host_text
    resolver = _parse(host_text)
    _override(resolver, options)
    return _render(resolver)


def _parse(text: str) -> _Resolver:
    resolver = _Resolver()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            resolver.servers.append(words[1])
        elif words[0] in ("search", "domain"):
            resolver.search = words[1:]  # the last one counts, resolv.conf(5)
        elif words[0] == "options":
            resolver.options += words[1:]
        elif words[0] != "nameserver":
            resolver.other.append(" ".join(words))
    return resolver


def _override(resolver: _Resolver, options: ResolverOptions) -> None:
    for server in options.servers:
        parse_server(server)
    if options.servers:
        resolver.servers = list(options.servers)
    if options.search:
        # A single dot asks for no search domains at all.
        resolver.search = [] if list(options.search) == ["."] else [name for name in options.search if name != "."]
    if options.options:
        resolver.options = list(options.options)


def _reachable(server: str, *, ipv6: bool) -> bool:
    try:
        return not IPv4Address(server).is_loopback
    except AddressValueError:
        pass
    try:
        return ipv6 and not IPv6Address(server.partition("%")[0]).is_loopback
    except AddressValueError:
        return False


def _render(resolver: _Resolver) -> str:
    lines = ["# Written by shoal when the container was made; it keeps what you change here."]
    lines += [f"nameserver {server}" for server in resolver.servers]
    if resolver.search:
        lines.append("search " + " ".join(resolver.search))
    if resolver.options:
        lines.append("options " + " ".join(resolver.options))
    lines += resolver.other
    return "\n".join(lines) + "\n"
