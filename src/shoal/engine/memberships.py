"""Putting containers into networks and taking them out, while they run or not (Docker API v1.50 `NetworkConnect`).

What a container asked for is in its record; a running one gets its interface, its routes and its ports at once.
"""

from __future__ import annotations

from shoal.api.network import EndpointSettings, NetworkingConfig
from shoal.engine.container.listing import network_name
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.endpoint_options import read_endpoint_options
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networking import ContainerNetworks, check_endpoint
from shoal.errors import Conflict, Forbidden, InvalidArgument, NotFound, ShoalError, Unsupported
from shoal.linux.procfs import process_exists
from shoal.network.driver import LinkedNetwork, NetworkDriver, PublishingNetwork

_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_HOST = "container cannot be disconnected from host network or connected to host network"


class Memberships:
    """Changes which networks a container is in, under the container's lock."""

    def __init__(
        self,
        registry: ContainerRegistry,
        locks: ContainerLocks,
        catalog: NetworkCatalog,
        networks: ContainerNetworks,
    ) -> None:
        self._registry = registry
        self._locks = locks
        self._catalog = catalog
        self._networks = networks

    def of(self, record: ContainerRecord) -> dict[str, EndpointSettings]:
        """The networks that the container is in, or comes into at its start: as ContainerNetworks.wanted."""
        return self._networks.wanted(record)

    async def connect(self, record: ContainerRecord, driver: NetworkDriver, settings: EndpointSettings) -> None:
        """Raises: InvalidArgument, Forbidden (in it already, address taken), Conflict (it goes), NotFound."""
        async with self._locks.hold(record.id):
            if record.state.status in ("removing", "dead"):
                raise Conflict(f"Container {record.id} is marked for removal and cannot be connected or disconnected")
            if self._catalog.get(driver.name) is not driver:
                raise NotFound(f"network {driver.name} not found", why="it was removed while the container changed")
            linked = self._checked(record, driver, settings)
            joined = self.of(record)
            if driver.name in joined and record.is_running and driver.endpoint(record.id) is not None:
                raise Forbidden(f"endpoint with name {record.name} already exists in network {driver.name}")
            was, before = joined, self._gateways(record, joined)
            # A stopped one that is in it already keeps what it asked for first, as with Docker.
            joined = {driver.name: settings, **joined} if driver.name in joined else {**joined, driver.name: settings}
            if record.is_running:
                await self._plug(record, linked, settings)
                self._networks.announce_one(record, driver, "connect")
            self._save(record, joined)
            try:
                await self._follow_gateway(record, before, joined)
            except ShoalError:
                await self._leave_again(record, linked, joined, was)
                raise
            if record.is_running and self._catalog.is_own(driver.name):
                await self._networks.resolving.joined(record)

    async def _plug(self, record: ContainerRecord, driver: LinkedNetwork, settings: EndpointSettings) -> None:
        """Gives a running container an interface, or nothing at all."""
        if driver.endpoint(record.id) is not None:
            # A daemon that was killed in here had not noted yet that the container is in the network.
            await self._unplug(record, driver)
        options = read_endpoint_options(settings.driver_opts)
        if options.interface:
            raise Unsupported(
                f"an interface cannot be named {options.interface} while the container runs",
                fix=f"stop it first: docker stop {record.name}; or leave the driver-opt out",
            )
        _check_alive(record)
        endpoint = await self._networks.reserve(record, driver, settings, [])
        try:
            await driver.plug(endpoint, record.state.pid)
            await self._networks.add_link_local(endpoint, record.state.pid)
            await self._networks.write_settings(endpoint, record.state.pid, options.sysctls)
            _check_alive(record)  # else its number may be another's by now, who must not keep the interface
        except BaseException:
            await self._unplug(record, driver)
            raise

    async def _leave_again(
        self,
        record: ContainerRecord,
        driver: LinkedNetwork,
        joined: dict[str, EndpointSettings],
        was: dict[str, EndpointSettings],
    ) -> None:
        """As before a `connect` after which the ports could not move: out of the network, the ports where they were."""
        before = self._gateways(record, joined)
        await self._unplug(record, driver)
        self._networks.announce_one(record, driver, "disconnect")
        self._save(record, was)
        await self._follow_gateway(record, before, was)

    async def _unplug(self, record: ContainerRecord, driver: NetworkDriver) -> None:
        """First the interface, which lives as long as the container: its address may be another's a moment later."""
        if isinstance(driver, LinkedNetwork):
            await driver.unplug(record.id, record.state.pid)
        await driver.release(record.id)

    async def disconnect(self, record: ContainerRecord, driver: NetworkDriver) -> None:
        """Raises: InvalidArgument (host), Forbidden when it is not in the network."""
        async with self._locks.hold(record.id):
            if network_name(record) == "host":
                raise InvalidArgument(_HOST)
            joined = self.of(record)
            if driver.name not in joined:
                raise Forbidden(f"container {record.id} is not connected to network {driver.name}")
            before = self._gateways(record, joined)
            joined = {name: settings for name, settings in joined.items() if name != driver.name}
            if record.is_running:
                await self._unplug(record, driver)
                self._networks.announce_one(record, driver, "disconnect")
            self._save(record, joined)
            await self._follow_gateway(record, before, joined)

    def _checked(self, record: ContainerRecord, driver: NetworkDriver, settings: EndpointSettings) -> LinkedNetwork:
        """The network, as one that containers may come into. Raises: InvalidArgument in Docker's words."""
        own = network_name(record)
        if own.startswith("container:") or own == "host":
            raise InvalidArgument(_SHARED)
        if driver.name == "host":
            raise InvalidArgument(_HOST)
        if not isinstance(driver, LinkedNetwork) or "none" in self._networks.wanted(record):
            raise InvalidArgument(_PRIVATE)
        check_endpoint(settings, self._catalog.definition(driver.name))
        return driver

    def _save(self, record: ContainerRecord, joined: dict[str, EndpointSettings]) -> None:
        record.networking, record.networks_changed = NetworkingConfig(endpoints_config=joined), True
        self._registry.save(record)
        self._networks.resolving.changed()

    def _gateways(self, record: ContainerRecord, joined: dict[str, EndpointSettings]) -> tuple[str, str]:
        """The networks that lead outside, for IPv4 and for IPv6."""
        return self._networks.gateway_of(joined), self._networks.gateway6_of(record, joined)

    async def _follow_gateway(
        self, record: ContainerRecord, before: tuple[str, str], joined: dict[str, EndpointSettings]
    ) -> None:
        """Moves a running container's ways outside, and its published ports, to the networks that now lead there."""
        if not record.is_running:
            return
        after = self._gateways(record, joined)
        new = self._catalog.get(after[1])
        if after[1] != before[1] and isinstance(new, LinkedNetwork):
            _check_alive(record)
            await new.route(record.id, record.state.pid, ipv6=True)
        if after[0] != before[0]:
            await self._move_ports(record, before[0], after[0])

    async def _move_ports(self, record: ContainerRecord, before: str, after: str) -> None:
        """The same for IPv4 alone, with which the published ports go."""
        old, new = self._catalog.get(before), self._catalog.get(after)
        if isinstance(old, PublishingNetwork) and old.endpoint(record.id) is not None:
            await old.publish(record.id, [])
        if isinstance(new, LinkedNetwork) and new.endpoint(record.id) is not None:
            _check_alive(record)
            await new.route(record.id, record.state.pid)
            if isinstance(new, PublishingNetwork):
                await new.publish(record.id, self._networks.port_requests(record))


def _check_alive(record: ContainerRecord) -> None:
    """Raises: Conflict when the container's process has ended, of which its record does not know yet."""
    state = record.state
    if state.start_ticks is not None and not process_exists(state.pid, state.start_ticks):
        raise Conflict(f"container {record.id} is not running", why="it has just ended")
