"""Ports published, and no longer published, by a container that exists: at once where it runs, and from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from shoal.api.host_config import PortBinding
from shoal.api.ports import PortsChange, PortsChanged
from shoal.engine.background import Background
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networking import ContainerNetworks
from shoal.errors import Conflict, Internal, NotFound
from shoal.network.driver import PublishingNetwork
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, PublishedPort
from shoal.network.ports import binding_range, parse_port, parse_port_bindings, show_ports

Bindings = Mapping[str, Sequence[PortBinding] | None]


class PublishedPorts:
    """Changes what a container publishes, under its lock."""

    def __init__(
        self,
        registry: ContainerRegistry,
        locks: ContainerLocks,
        catalog: NetworkCatalog,
        networks: ContainerNetworks,
        events: EventLog,
        background: Background,
    ) -> None:
        self._registry = registry
        self._locks = locks
        self._catalog = catalog
        self._networks = networks
        self._events = events
        self._background = background

    async def change(self, ref: str, change: PortsChange) -> PortsChanged:
        """The ports after the change, of which nothing is done when one part of it fails.

        Raises: NotFound (container, port), Internal in Docker's words (host port taken), InvalidArgument, Conflict.
        """
        return await self._background.complete(self._change(self._registry.find(ref), change))

    async def _change(self, record: ContainerRecord, change: PortsChange) -> PortsChanged:
        async with self._locks.hold(record.id):
            self._check(record)
            endpoints = self._networks.endpoints(record) if record.is_running else []
            published = [port for endpoint in endpoints for port in endpoint.ports]
            bindings, closing = changed_bindings(record.host_config.port_bindings, published, change, record.name)
            parse_port_bindings(bindings)
            before = record.host_config
            record.host_config = msgspec.structs.replace(before, port_bindings=bindings)
            try:
                if record.is_running:
                    await self._publish(record, closing)
                else:
                    self._registry.save(record)
            except BaseException:
                record.host_config = before
                raise
        self._events.publish("container", "update", record.id, record.attributes())
        if not record.is_running:
            return PortsChanged(ports={key: list(hosts) for key, hosts in bindings.items()})
        published = [port for endpoint in self._networks.endpoints(record) for port in endpoint.ports]
        return PortsChanged(ports=show_ports(published))

    def _check(self, record: ContainerRecord) -> None:
        if record.state.status in ("removing", "dead"):
            raise Conflict(f"Container {record.id} is marked for removal: its ports cannot be changed")
        if record.host_config.publish_all_ports:
            raise Conflict(
                f"container {record.name} publishes all the ports that it exposes",
                fix="make it without -P, and publish each port with -p or `shoal port add`",
            )
        networks = self._networks.wanted(record)
        if not self._networks.gateway_of(networks) or networks.keys() & {"host", "none"}:
            raise Conflict(
                f"container {record.name} has no network of its own that leads outside",
                why="with --network host, none or container:NAME, and in internal networks, nothing is published",
                fix=f"connect it to another network: shoal network connect NETWORK {record.name}",
            )

    async def _publish(self, record: ContainerRecord, closing: Sequence[PublishedPort]) -> None:
        driver = self._catalog.find(self._networks.gateway_of(self._networks.wanted(record)))
        if not isinstance(driver, PublishingNetwork):
            raise Conflict(f"network {driver.name} publishes no ports", why=f"its driver is {driver.inspect().driver}")
        if driver.endpoint(record.id) is None:
            raise Conflict(f"container {record.name} is not connected to network {driver.name}")
        await self._networks.publish(record, driver, closing=closing, also=lambda: self._registry.save(record))


def changed_bindings(
    bindings: Bindings, published: Sequence[PublishedPort], change: PortsChange, name: str
) -> tuple[dict[str, list[PortBinding]], list[PublishedPort]]:
    """The container's port map after the change, and the published ports that are to be closed for it. Pure.

    Raises: NotFound for what is not published, Internal in Docker's words for what is already, InvalidArgument.
    """
    result: dict[str, list[PortBinding]] = {}
    for key, hosts in bindings.items():
        result.setdefault(_normal(key), []).extend(hosts or ())
    closing: list[PublishedPort] = []
    for key, hosts in change.remove.items():
        wanted = _normal(key)
        left = result.get(wanted, [])
        for host in hosts or list(left) or [PortBinding()]:
            found = next((binding for binding in left if _means(host, binding)), None)
            if found is None:
                where = f"{host.host_port}:" if host.host_port else ""
                raise NotFound(f"No public port '{where}{wanted}' published for {name}", fix=f"shoal port {name}")
            left.remove(found)
            closing += _outcome(host, found, [port for port in published if _key(port) == wanted])
        if not left:
            result.pop(wanted, None)
    for key, hosts in change.add.items():
        for host in hosts or [PortBinding()]:
            kept = result.setdefault(_normal(key), [])
            if host.host_port not in ("", "0") and host in kept:
                address = host.host_ip or ANY_ADDRESS
                raise Internal(f"Bind for {address}:{host.host_port} failed: port is already allocated")
            kept.append(host)
    return result, closing


def _normal(key: str) -> str:
    protocol, number = parse_port(key)
    return f"{number}/{protocol}"


def _key(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol}"


def _means(host: PortBinding, binding: PortBinding) -> bool:
    """Whether a removal's words mean this binding; a random one, or one of a range, may be meant by its result."""
    if host.host_ip and host.host_ip != (binding.host_ip or ANY_ADDRESS):
        return False
    if host.host_port in ("", binding.host_port):
        return True
    ports = binding_range(binding.host_port)
    return ports is None or (host.host_port.isdecimal() and int(host.host_port) in ports)


def _outcome(host: PortBinding, binding: PortBinding, published: Sequence[PublishedPort]) -> list[PublishedPort]:
    """What came of a binding that is taken away: one port, or one of each family with the same number."""
    first = next((port for port in published if _leads(host, binding, port)), None)
    if first is None:
        return []
    twin = replace(first, host_ip=ANY_ADDRESS6)
    has_twin = not binding.host_ip and first.host_ip == ANY_ADDRESS and twin in published
    return [first, twin] if has_twin else [first]


def _leads(host: PortBinding, binding: PortBinding, port: PublishedPort) -> bool:
    """Whether `port` is what came of a binding that is taken away."""
    if host.host_port.isdecimal() and int(host.host_port) != port.host_port:
        return False
    if binding.host_ip and binding.host_ip.strip("[]") != port.host_ip:
        return False
    ports = binding_range(binding.host_port)
    return ports is None or port.host_port in ports
