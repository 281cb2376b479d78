"""Networks as the server asks for them: the three that every daemon has (Docker API v1.50 `Network`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.api.filters import Filters
from shoal.api.network import IPAM, IPAMPool, NetworkContainer, NetworkResource, NetworksPruneReport
from shoal.api.timestamps import format_rfc3339
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import NotFound
from shoal.network.driver import NetworkDriver
from shoal.network.endpoint import Endpoint

_PRUNE_ACCEPTED = ("label", "label!", "until")
_ACCEPTED = ("dangling", "driver", "id", "label", "name", "scope", "type")


class Networks:
    """What the server calls `NetworkBackend`."""

    def __init__(self, drivers: Mapping[str, NetworkDriver], registry: ContainerRegistry, events: EventLog) -> None:
        self._drivers = drivers
        self._registry = registry
        self._events = events

    async def list(self, filters: Filters) -> Sequence[NetworkResource]:
        """The networks that the filters let through. Raises: InvalidArgument for a filter."""
        filters.validate(_ACCEPTED)
        shown = [self._show(driver, with_containers=False) for driver in self._drivers.values()]
        return [network for network in shown if _passes(network, filters)]

    async def inspect(self, ref: str) -> NetworkResource:
        """One network with its containers. Raises: NotFound."""
        for driver in self._drivers.values():
            info = driver.inspect()
            if ref == info.name or (ref and info.id.startswith(ref)):
                return self._show(driver, with_containers=True)
        raise NotFound(f"network {ref} not found", fix="docker network ls")

    async def prune(self, filters: Filters) -> NetworksPruneReport:
        """What was removed: there are no networks of a user's own, so none is. Raises: InvalidArgument for a filter."""
        filters.validate(_PRUNE_ACCEPTED)
        self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return NetworksPruneReport()

    def _show(self, driver: NetworkDriver, *, with_containers: bool) -> NetworkResource:
        info = driver.inspect()
        pools = [IPAMPool(subnet=info.subnet, gateway=info.gateway)] if info.subnet else []
        containers = [self._container(e) for e in info.endpoints] if with_containers else []
        return NetworkResource(
            name=info.name,
            id=info.id,
            created=format_rfc3339(info.created_ns),
            driver=info.driver,
            ipam=IPAM(config=pools),
            containers=dict(containers),
            options=info.options,
        )

    def _container(self, endpoint: Endpoint) -> tuple[str, NetworkContainer]:
        record = self._registry.get(endpoint.container_id)
        shown = NetworkContainer(
            name=record.name if record else "",
            endpoint_id=endpoint.endpoint_id,
            mac_address=endpoint.mac,
            ipv4_address=f"{endpoint.ip}/{endpoint.prefix}" if endpoint.ip else "",
        )
        return endpoint.container_id, shown


def _passes(network: NetworkResource, filters: Filters) -> bool:
    kind = filters.get("type")
    return (
        filters.matches_prefix("id", network.id)
        and filters.matches_pattern("name", network.name)
        and filters.matches_exactly("driver", network.driver)
        and filters.matches_exactly("scope", network.scope)
        and filters.matches_labels(network.labels)
        and (not kind or "builtin" in kind)
        and not filters.boolean("dangling", default=False)
    )
