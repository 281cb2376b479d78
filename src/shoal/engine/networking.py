"""A container's place in its network: which driver serves it, what it is given, how it is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shoal.api.network import EndpointSettings
from shoal.engine.container.listing import network_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.view import NetworkView
from shoal.engine.events import EventLog
from shoal.errors import NotFound, ShoalError
from shoal.network.driver import NetworkDriver
from shoal.network.endpoint import Endpoint
from shoal.network.ports import parse_port_bindings, show_ports
from shoal.runtime.driver import Wire

_FAILED = "driver failed programming external connectivity on endpoint"


class ContainerNetworks:
    """The networks by name, and each container's endpoint in one of them."""

    def __init__(self, drivers: Mapping[str, NetworkDriver], events: EventLog) -> None:
        self._drivers = drivers
        self._events = events

    async def start(self, live: Collection[str]) -> list[str]:
        """Makes every network work, with the endpoints of the containers in `live`; what was repaired or is degraded.

        Raises: ShoalError when a network cannot work at all.
        """
        notes = []
        for driver in self._drivers.values():
            notes += await driver.start()
            await driver.restore(live)
        return notes

    def driver_of(self, record: ContainerRecord) -> NetworkDriver | None:
        """The driver of the container's network; None when it shares another container's.

        Raises: NotFound, in Docker's words, when there is no such network.
        """
        name = network_name(record)
        if record.config.network_disabled:
            name = "none"
        if name.startswith("container:"):
            return None
        driver = self._drivers.get(name)
        if driver is None:
            raise NotFound(f"network {name} not found", fix="docker network ls")
        return driver

    async def allocate(self, record: ContainerRecord) -> Endpoint | None:
        """Addresses and host ports for a container that is about to start; None where it shares a network.

        Raises: NotFound for the network; what the driver raises, in Docker's words.
        """
        driver = self.driver_of(record)
        if driver is None:
            return None
        requests = parse_port_bindings(
            record.host_config.port_bindings,
            exposed=record.config.exposed_ports,
            publish_all=record.host_config.publish_all_ports,
        )
        wanted = record.networking.endpoints_config.get(network_name(record))
        mac = (wanted.mac_address if wanted else "") or record.config.mac_address
        try:
            return await driver.allocate(record.id, ports=requests, mac=mac or None)
        except ShoalError as problem:
            if "host port" in problem.what or problem.what.startswith("Bind for"):
                problem.what = f"{_FAILED} {record.name} ({record.id}): {problem.what}"
            raise

    def wire(self, record: ContainerRecord, endpoint: Endpoint | None) -> Wire | None:
        """What the runtime calls when the container's first process exists; None when there is nothing to connect."""
        driver = self.driver_of(record)
        if driver is None or endpoint is None or endpoint.interface is None:
            return None
        place = endpoint

        async def connect(pid: int) -> None:
            await driver.connect(place, pid)

        return connect

    def announce(self, record: ContainerRecord, action: str) -> None:
        """Tells of a container that was connected to its network, or disconnected."""
        driver = self.driver_of(record)
        if driver is not None:
            network = driver.inspect()
            attributes = {"container": record.id, "name": network.name, "type": network.driver}
            self._events.publish("network", action, network.id, attributes)

    async def release(self, record: ContainerRecord) -> None:
        """Gives the container's address and ports back; harmless when it has none."""
        for driver in self._drivers.values():
            await driver.release(record.id)

    def endpoint(self, record: ContainerRecord) -> Endpoint | None:
        """The container's endpoint while it has one."""
        driver = self._drivers.get(network_name(record))
        return driver.endpoint(record.id) if driver else None

    def bridge_address(self, record: ContainerRecord) -> str:
        """The container's address on the default bridge while it has one, else ""."""
        driver = self._drivers.get("bridge")
        endpoint = driver.endpoint(record.id) if driver else None
        return endpoint.ip if endpoint else ""

    def view(self, record: ContainerRecord) -> NetworkView:
        """What inspections and lists show of the container's network."""
        name = network_name(record)
        endpoint = self.endpoint(record)
        if name.startswith("container:"):
            return NetworkView({}, {})
        key = f"/proc/{record.state.pid}/ns/net" if record.is_running else ""
        wanted = record.networking.endpoints_config.get(name)
        settings = EndpointSettings(aliases=wanted.aliases if wanted else None)
        if record.state.started_at_ns and name in self._drivers:
            settings.network_id = self._drivers[name].inspect().id
        if endpoint is not None:
            _fill(settings, endpoint)
        ports = show_ports(endpoint.ports if endpoint else (), record.config.exposed_ports) if record.is_running else {}
        return NetworkView({name: settings}, ports, key)


def _fill(settings: EndpointSettings, endpoint: Endpoint) -> None:
    settings.network_id, settings.endpoint_id = endpoint.network_id, endpoint.endpoint_id
    settings.gateway, settings.mac_address = endpoint.gateway, endpoint.mac
    settings.ip_address, settings.ip_prefix_len = endpoint.ip, endpoint.prefix
