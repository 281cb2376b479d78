"""The files that shoald writes for a container and that are bound into it: hosts, hostname, resolv.conf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from shoal.engine.container.record import ContainerRecord
from shoal.engine.paths import Paths
from shoal.network import files


class ContainerFiles:
    """Writes the three files at every start; what the host's own files say is read anew each time."""

    def __init__(self, paths: Paths, gateway: Callable[[], str]) -> None:
        """`gateway` tells the address of the host on the default bridge, "" without one."""
        self._paths = paths
        self._gateway = gateway

    def write(self, record: ContainerRecord, addresses: Sequence[str], links: Sequence[tuple[str, str]]) -> None:
        """`addresses` are the container's own, `links` (address, names) of linked containers.

        Raises: OSError; InvalidArgument for a bad option.
        """
        host, config = record.host_config, record.config
        is_host = host.network_mode == "host"
        hostname = config.hostname or Path("/proc/sys/kernel/hostname").read_text().strip()
        name, _, domain = hostname.partition(".")
        resolver = files.ResolverOptions(host.dns, host.dns_search, host.dns_options)
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
                extra_hosts=host.extra_hosts,
                host_gateway=self._gateway(),
                links=links,
            )
            source = files.resolv_conf_source(host_resolv)
            resolv = files.resolv_conf_file(
                _read(source) if source != files.HOST_RESOLV_CONF else host_resolv, resolver
            )
        self._paths.hosts_file(record.id).write_text(hosts)
        self._paths.hostname_file(record.id).write_text(files.hostname_file(hostname))
        self._paths.resolv_conf_file(record.id).write_text(resolv)


def _read(path: str) -> str:
    """The text of a file of the host's that may be missing."""
    try:
        return Path(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""
