"""The files that shoald writes for a container and that are bound into it: hosts, hostname, resolv.conf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from shoal.engine.container.record import ContainerRecord
from shoal.engine.container_names import HOST_NAMES
from shoal.engine.paths import Paths
from shoal.network import files
from shoal.network.dns.redirect import RESOLVER_ADDRESS

_OWN_FILE_MAX = 64 * 1024  # characters


class ContainerFiles:
    """Writes the three files at every start; what the host's own files say is read anew each time."""

    def __init__(self, paths: Paths, gateway: Callable[[], str]) -> None:
        """`gateway` tells the address of the host on the default bridge, "" without one."""
        self._paths = paths
        self._gateway = gateway

    def write(
        self,
        record: ContainerRecord,
        addresses: Sequence[str],
        links: Sequence[tuple[str, str]],
        *,
        has_resolver: bool = False,
    ) -> None:
        """`addresses` are the container's own, `links` (address, names) of linked containers.

        `has_resolver`: shoal answers what it asks for.
        Raises: OSError; InvalidArgument for a bad option.
        """
        host, config = record.host_config, record.config
        is_host = host.network_mode == "host"
        hostname = config.hostname or Path("/proc/sys/kernel/hostname").read_text().strip()
        name, _, domain = hostname.partition(".")
        resolver = _asked(record)
        host_resolv = _read(files.HOST_RESOLV_CONF)
        if is_host:
            hosts = files.host_network_hosts_file(
                _read("/etc/hosts"), extra_hosts=host.extra_hosts, host_gateway=self._gateway()
            )
            resolv = files.host_network_resolv_conf_file(host_resolv, resolver)
        else:
            hosts = files.hosts_file(
                hostname=name,
                domain=config.domainname or domain,
                addresses=addresses,
                extra_hosts=host.extra_hosts if has_resolver else self._with_host_names(host.extra_hosts, addresses),
                host_gateway=self._gateway(),
                links=links,
            )
            has_ipv6 = any(":" in address for address in addresses)
            resolv = _own_resolv_conf(host_resolv, resolver, has_resolver=has_resolver, ipv6=has_ipv6)
        self._paths.hosts_file(record.id).write_text(hosts)
        self._paths.hostname_file(record.id).write_text(files.hostname_file(hostname))
        self._paths.resolv_conf_file(record.id).write_text(resolv)

    def _with_host_names(self, extra_hosts: Sequence[str], addresses: Sequence[str]) -> Sequence[str]:
        """`--add-host`, and the names of the host that it does not give another meaning: here no resolver does."""
        if not self._gateway() or not any(addresses):
            return extra_hosts
        given = {entry.partition(":")[0] for entry in extra_hosts}
        return [*extra_hosts, *(f"{name}:{files.HOST_GATEWAY}" for name in HOST_NAMES if name not in given)]

    def switch_to_resolver(self, record: ContainerRecord) -> None:
        """Has the container, which runs, ask its new resolver, unless it has changed its resolv.conf itself.

        Raises: OSError.
        """
        path, host_resolv = self._paths.resolv_conf_file(record.id), _read(files.HOST_RESOLV_CONF)
        # In place, because it is this very file that is bound into the container.
        written = [
            _own_resolv_conf(host_resolv, _asked(record), has_resolver=False, ipv6=ipv6) for ipv6 in (False, True)
        ]
        if _beginning(path) in written:
            path.write_text(_own_resolv_conf(host_resolv, _asked(record), has_resolver=True))

    def names_resolver(self, record: ContainerRecord) -> bool:
        """Whether the container's resolv.conf leads to a resolver of shoal's."""
        return RESOLVER_ADDRESS in files.name_servers(_beginning(self._paths.resolv_conf_file(record.id)))


def _asked(record: ContainerRecord) -> files.ResolverOptions:
    host = record.host_config
    return files.ResolverOptions(host.dns, host.dns_search, host.dns_options)


def _own_resolv_conf(host_resolv: str, asked: files.ResolverOptions, *, has_resolver: bool, ipv6: bool = False) -> str:
    """The text of resolv.conf for a container with a network of its own."""
    source = files.resolv_conf_source(host_resolv)
    text = _read(source) if source != files.HOST_RESOLV_CONF else host_resolv
    if has_resolver:
        return files.resolver_conf_file(text, RESOLVER_ADDRESS, asked)
    return files.resolv_conf_file(text, asked, ipv6=ipv6)


def _beginning(path: Path) -> str:
    """The text of a container's own file, which it may have made as large as it likes: so much as one of shoal's has.

    Raises: OSError.
    """
    with path.open(errors="replace") as file:
        return file.read(_OWN_FILE_MAX)


def _read(path: str) -> str:
    """The text of a file of the host's that may be missing."""
    try:
        return Path(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""
