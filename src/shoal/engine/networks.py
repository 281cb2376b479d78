"""Networks as the server asks for them. Docker API v1.50 `Network*`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from shoal.api.filters import Filters
from shoal.api.network import (
    IPAM,
    EndpointSettings,
    IPAMPool,
    NetworkContainer,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkResource,
    NetworksPruneReport,
)
from shoal.api.timestamps import format_rfc3339
from shoal.engine.container.prune import until_ns
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.memberships import Memberships
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.network_requests import read_pools
from shoal.errors import Forbidden, InvalidArgument, NotFound, Unavailable, Unsupported
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import NetworkDriver
from shoal.network.endpoint import Endpoint, NetworkInfo

_PRUNE_ACCEPTED = ("label", "label!", "until")
_ACCEPTED = ("dangling", "driver", "id", "label", "name", "scope", "type")
_TYPES = ("builtin", "custom")
_DRIVERS = {"": "bridge", "default": "bridge", "bridge": "bridge", "macvlan": "macvlan", "ipvlan": "ipvlan"}
_ONLY_ONE = ("host", "null")


class Networks:
    """What the server calls `NetworkBackend`."""

    def __init__(
        self,
        catalog: NetworkCatalog,
        registry: ContainerRegistry,
        memberships: Memberships,
        events: EventLog,
        clock_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._registry = registry
        self._memberships = memberships
        self._events = events
        self._clock_ns = clock_ns

    async def list(self, filters: Filters) -> Sequence[NetworkResource]:
        """The networks that the filters let through. Raises: InvalidArgument for a filter."""
        filters.validate(_ACCEPTED)
        for kind in filters.get("type"):
            if kind not in _TYPES:
                raise InvalidArgument(f"invalid filter 'type={kind}'", fix="use builtin or custom")
        return [self._show(driver, with_containers=False) for driver in self._catalog if self._passes(driver, filters)]

    async def inspect(self, ref: str) -> NetworkResource:
        """One network with its containers. Raises: NotFound, InvalidArgument (several)."""
        return self._show(self._catalog.find(ref), with_containers=True)

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """The new network's id. Raises: as NetworkCatalog.add; Unsupported for what is to come."""
        definition, warnings = self._definition(request)
        notes = await self._catalog.add(definition)
        self._publish("create", self._catalog.find(definition.name))
        return NetworkCreateResponse(id=definition.id, warning="; ".join([*warnings, *notes]))

    def _definition(self, request: NetworkCreateRequest) -> tuple[NetworkDefinition, Sequence[str]]:
        """What is asked for, and warnings about it."""
        name = request.name
        if not name or name != name.strip() or "/" in name:
            raise InvalidArgument(f"invalid network name: {name!r}", why="it is empty, or has a space or a slash")
        driver = _driver(request.driver)
        ipv4 = request.enable_ipv4 is not False
        if not ipv4 and not request.enable_ipv6:
            raise InvalidArgument("IPv4 or IPv6 must be enabled", fix="add --ipv6, or leave --ipv4=false out")
        if not ipv4 and driver != "bridge":
            raise Unsupported(f"the driver {driver} serves no network without IPv4", fix="use a bridge")
        if request.scope not in ("", "local"):
            raise Forbidden("cannot create a swarm scoped network when swarm is not active", fix="leave --scope out")
        if request.ingress or request.config_only or request.config_from:
            raise Unsupported("ingress and configuration networks are a swarm's", fix="leave --ingress, --config-* out")
        ipam = request.ipam or IPAM()
        if ipam.driver not in ("", "default"):
            raise NotFound(f'plugin "{ipam.driver}" not found', fix="leave --ipam-driver out")
        pool, pool6, warnings = read_pools(ipam, driver, ipv4=ipv4, ipv6=bool(request.enable_ipv6))
        definition = NetworkDefinition(
            id=secrets.token_hex(32),
            name=name,
            created_ns=self._clock_ns(),
            driver=driver,
            subnet=pool.subnet,
            gateway=pool.gateway,
            ip_range=pool.ip_range,
            reserved=pool.auxiliary_addresses,
            ipv4=ipv4,
            ipv6=bool(request.enable_ipv6),
            subnet6=pool6.subnet,
            gateway6=pool6.gateway,
            ip_range6=pool6.ip_range,
            reserved6=pool6.auxiliary_addresses,
            internal=request.internal,
            attachable=request.attachable,
            options=request.options or {},
            labels=request.labels or {},
            ipam_options=ipam.options or {},
        )
        return definition, warnings

    async def remove(self, ref: str) -> None:
        """Raises: NotFound; Forbidden for one of the daemon's, or one that running containers are in."""
        driver = self._catalog.find(ref)
        await self._catalog.remove(driver)
        self._publish("destroy", driver)

    async def connect(self, ref: str, container: str, settings: EndpointSettings) -> None:
        """Puts a container into the network, at once if it runs. Raises: as Memberships.connect."""
        driver = self._catalog.find(ref)
        await self._memberships.connect(self._registry.find(container), driver, settings)

    async def disconnect(self, ref: str, container: str, *, force: bool) -> None:
        """Takes a container out of the network, at once if it runs. Raises: as Memberships.disconnect."""
        driver = self._catalog.find(ref)
        record = self._registry.find_or_none(container)
        if record is None:
            if not force:
                raise NotFound(f"No such container: {container}")
            if driver.endpoint(container) is None:
                raise NotFound(f"endpoint {container} not found")
            await driver.release(container)
            return
        await self._memberships.disconnect(record, driver)

    async def prune(self, filters: Filters) -> NetworksPruneReport:
        """What was removed: users' networks that no running container is in. Raises: InvalidArgument for a filter."""
        filters.validate(_PRUNE_ACCEPTED)
        limit_ns = until_ns(filters, now_ns=self._clock_ns())
        unwanted = "label!" in filters
        deleted = []
        for driver in self._catalog:
            definition = self._catalog.definition(driver.name)
            if definition is None or driver.inspect().endpoints:
                continue
            if self._catalog.get(driver.name) is not driver:
                continue  # another client has removed it meanwhile
            labels = definition.labels
            kept = not filters.matches_labels(labels) or (unwanted and filters.matches_labels(labels, "label!"))
            if not kept and definition.created_ns <= limit_ns:
                await self._catalog.remove(driver)
                self._publish("destroy", driver)
                deleted.append(driver.name)
        self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return NetworksPruneReport(networks_deleted=deleted or None)

    def _publish(self, action: str, driver: NetworkDriver) -> None:
        info = driver.inspect()
        self._events.publish("network", action, info.id, {"name": info.name, "type": info.driver})

    def _show(self, driver: NetworkDriver, *, with_containers: bool) -> NetworkResource:
        info = driver.inspect()
        definition = self._catalog.definition(driver.name)
        containers = [self._container(e) for e in info.endpoints] if with_containers else []
        return NetworkResource(
            name=info.name,
            id=info.id,
            created=format_rfc3339(info.created_ns),
            driver=info.driver,
            enable_ipv4=definition is None or definition.ipv4,
            enable_ipv6=bool(info.subnet6),
            ipam=IPAM(config=_pools(info, definition), options=definition.ipam_options if definition else None),
            containers=dict(containers),
            options=info.options,
            internal=definition is not None and definition.internal,
            attachable=definition is not None and definition.attachable,
            labels=definition.labels if definition else {},
        )

    def _container(self, endpoint: Endpoint) -> tuple[str, NetworkContainer]:
        record = self._registry.get(endpoint.container_id)
        shown = NetworkContainer(
            name=record.name if record else "",
            endpoint_id=endpoint.endpoint_id,
            mac_address=endpoint.mac,
            ipv4_address=f"{endpoint.ip}/{endpoint.prefix}" if endpoint.ip else "",
            ipv6_address=f"{endpoint.ip6}/{endpoint.prefix6}" if endpoint.ip6 else "",
        )
        return endpoint.container_id, shown

    def _passes(self, driver: NetworkDriver, filters: Filters) -> bool:
        network = self._show(driver, with_containers=False)
        is_own = self._catalog.is_own(driver.name)
        kinds = filters.get("type")
        is_used = bool(driver.inspect().endpoints)
        wants_dangling = filters.boolean("dangling", default=False)
        return (
            filters.matches_prefix("id", network.id)
            and filters.matches_pattern("name", network.name)
            and filters.matches_exactly("driver", network.driver)
            and filters.matches_exactly("scope", network.scope)
            and filters.matches_labels(network.labels)
            and (not kinds or ("custom" if is_own else "builtin") in kinds)
            and (not filters.get("dangling") or wants_dangling == (is_own and not is_used))
        )


def _pools(info: NetworkInfo, definition: NetworkDefinition | None) -> list[IPAMPool]:
    """The network's subnets, IPv4 first, with what was asked for."""
    pool = IPAMPool(subnet=info.subnet, gateway=info.gateway)
    pool6 = IPAMPool(subnet=info.subnet6, gateway=info.gateway6)
    if definition is not None:
        pool.ip_range, pool.auxiliary_addresses = definition.ip_range, definition.reserved
        pool6.ip_range, pool6.auxiliary_addresses = definition.ip_range6, definition.reserved6
    return [one for one in (pool, pool6) if one.subnet]


def _driver(driver: str) -> str:
    """The driver's own name.

    Raises: NotFound for one that there is not, Forbidden for one of the daemon's own networks, Unavailable.
    """
    if driver in _DRIVERS:
        return _DRIVERS[driver]
    if driver in _ONLY_ONE:
        raise Forbidden(f'only one instance of "{driver}" network is allowed', fix="use the one that there is")
    if driver == "overlay":
        raise Unavailable(
            "This node is not a swarm manager.", why="overlay networks join several machines", fix="use a bridge"
        )
    raise NotFound(
        f'could not find plugin {driver} in v1 plugin registry: plugin "{driver}" not found',
        fix="use one of the drivers bridge, macvlan, ipvlan",
    )
