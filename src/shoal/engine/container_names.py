"""The names that a container's resolver knows: of those it shares a user's network with, of its links, of the host.

container asks "web" ─▶ its links ─▶ each of its networks in turn: names, aliases, short ids, host names
               "web.net" ─▶ the same in the network `net` alone
               "host.docker.internal", "gateway.docker.internal" ─▶ the host
               anything else ─▶ the servers of `--dns`, or the host's

What follows from records and endpoints is kept until `changed`, so that an answer costs two look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from shoal.api.network import EndpointSettings
from shoal.engine.container.isolation import VM
from shoal.engine.container.links import parse_link
from shoal.engine.container.record import SHORT_ID, ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.network_catalog import NetworkCatalog
from shoal.errors import InvalidArgument
from shoal.network.dns.names import Upstream
from shoal.network.driver import NetworkDriver
from shoal.network.endpoint import Endpoint

HOST_NAMES = ("host.docker.internal", "gateway.docker.internal")


@dataclass(frozen=True, slots=True)
class _Directory:
    """The names in one network, and the name of each address."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _View:
    """What one container sees: its networks by their names in small letters, its links, the host's address."""

    networks: dict[str, _Directory]
    links: dict[str, list[str]]
    host: list[str]
    leads_outside: bool


class ContainerNames:
    """What the resolvers call `Names`. `gateway` tells the host's address on the default bridge, "" without one."""

    def __init__(
        self,
        registry: ContainerRegistry,
        catalog: NetworkCatalog,
        gateway: Callable[[], str],
        host_servers: Callable[[], Sequence[Upstream]],
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._gateway = gateway
        self._host_servers = host_servers
        self._views: dict[str, _View] = {}
        self._directories: dict[str, _Directory] = {}

    def changed(self) -> None:
        """A container has come into a network or left one, or has another name."""
        self._views.clear()
        self._directories.clear()

    def lookup(self, container_id: str, name: str) -> Sequence[str] | None:
        """As Names.lookup."""
        view = self._view(container_id)
        if name in view.links:
            return view.links[name]
        for directory in view.networks.values():
            if name in directory.addresses:
                return directory.addresses[name]
        before, _, last = name.rpartition(".")
        if before and last in view.networks:
            return view.networks[last].addresses.get(before)
        return view.host if name in HOST_NAMES and view.host else None

    def reverse(self, container_id: str, address: str) -> str | None:
        """As Names.reverse: `container.network`."""
        for directory in self._view(container_id).networks.values():
            if address in directory.names:
                return directory.names[address]
        return None

    def upstreams(self, container_id: str) -> Sequence[Upstream]:
        """As Names.upstreams. Those of `--dns` are where the container is, whatever their address.

        A machine's namespace on this host has no address of its own to ask from: the guest has it.
        """
        record = self._registry.get(container_id)
        if record is None or not self._view(container_id).leads_outside:
            return ()
        in_machine = record.host_config.isolation == VM
        if record.host_config.dns:
            return [Upstream(address, on_host=in_machine) for address in record.host_config.dns]
        servers = self._host_servers()
        return [replace(server, on_host=True) for server in servers] if in_machine else servers

    def leads_outside(self, container_id: str) -> bool:
        """Whether one of the container's networks does."""
        return self._view(container_id).leads_outside

    # -- what is kept -----------------------------------------------------------------------------------------

    def _view(self, container_id: str) -> _View:
        view = self._views.get(container_id)
        if view is None:
            view = self._views[container_id] = self._make_view(container_id)
        return view

    def _make_view(self, container_id: str) -> _View:
        drivers = [driver for driver in self._catalog if driver.endpoint(container_id) is not None]
        own = [driver for driver in drivers if self._catalog.is_own(driver.name)]
        outside = [driver for driver in drivers if not self._is_internal(driver)]
        gateway = self._gateway() if outside else ""
        host = gateway or next(filter(None, (driver.inspect().gateway for driver in own)), "")
        record = self._registry.get(container_id)
        return _View(
            networks={driver.name.lower(): self._directory(driver) for driver in own},
            links=self._links(record, own) if record else {},
            host=[host] if host else [],
            leads_outside=bool(outside),
        )

    def _is_internal(self, driver: NetworkDriver) -> bool:
        definition = self._catalog.definition(driver.name)
        return definition is not None and definition.internal

    def _directory(self, driver: NetworkDriver) -> _Directory:
        directory = self._directories.get(driver.name)
        if directory is None:
            directory = self._directories[driver.name] = _Directory()
            for endpoint in driver.inspect().endpoints:
                record = self._registry.get(endpoint.container_id)
                if record is not None:
                    _enter(directory, endpoint, record, asked_of(record, driver, self._catalog))
        return directory

    def _links(self, record: ContainerRecord, own: Sequence[NetworkDriver]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for driver in own:
            for text in asked_of(record, driver, self._catalog).links or ():
                try:
                    name, alias = parse_link(text)
                except InvalidArgument:
                    continue
                child = self._registry.find_or_none(name)
                endpoint = driver.endpoint(child.id) if child else None
                if endpoint is not None:
                    found.setdefault(alias.lower(), []).extend(endpoint.addresses)
        return found


def asked_of(record: ContainerRecord, driver: NetworkDriver, catalog: NetworkCatalog) -> EndpointSettings:
    """What the container asked of a network, by its name, its id or the beginning of one."""
    wanted = record.networking.endpoints_config.items()
    found = (settings for ref, settings in wanted if catalog.name_of(ref) == driver.name)
    return next(found, EndpointSettings())


def dns_names(record: ContainerRecord, asked: EndpointSettings) -> list[str]:
    """The names of a container in a network of a user's own: its name, its aliases, its short id, its host name."""
    names = [record.name, *(asked.aliases or ()), record.id[:SHORT_ID], record.config.hostname]
    return list(dict.fromkeys(filter(None, names)))


def _enter(directory: _Directory, endpoint: Endpoint, record: ContainerRecord, asked: EndpointSettings) -> None:
    addresses = endpoint.addresses
    for name in {name.lower().rstrip(".") for name in dns_names(record, asked)}:
        directory.addresses.setdefault(name, []).extend(addresses)
    for address in addresses:
        directory.names[address] = f"{record.name}.{endpoint.network}"
