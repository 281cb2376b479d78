"""A container's places in its networks: which there are, what each gives it, how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address

from shoal.api.network import EndpointIPAMConfig, EndpointSettings
from shoal.engine.container.listing import network_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.view import NetworkView
from shoal.engine.container_names import dns_names
from shoal.engine.endpoint_options import interface_names, read_endpoint_options
from shoal.engine.events import EventLog
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.resolving import Resolving
from shoal.errors import Conflict, InvalidArgument, ShoalError
from shoal.network.container_side import add_addresses, write_settings
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import EndpointRequest, NetworkDriver, PublishingNetwork
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, Endpoint, PublishedPort
from shoal.network.ports import HOST_FIREWALL, OPEN, PUBLISHED_PORTS, PortRequest, parse_port_bindings, show_ports
from shoal.oci.network import InterfaceConfig
from shoal.runtime.driver import Wire

_FAILED = "driver failed programming external connectivity on endpoint"


@dataclass(frozen=True, slots=True)
class Place:
    """A container in one network: `interface` is what it configures for it, None on host and none.

    `has_names`: its containers find each other by name. `sysctls`: settings of the interface, as EndpointOptions has
    them.
    """

    driver: NetworkDriver
    endpoint: Endpoint
    interface: InterfaceConfig | None = None
    has_names: bool = False
    sysctls: Sequence[tuple[str, str, str]] = ()


class ContainerNetworks:
    """Each container's endpoints, in the networks of the catalog."""

    def __init__(
        self, catalog: NetworkCatalog, events: EventLog, resolving: Resolving, published_ports: str = OPEN
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._published_ports = published_ports
        self._kept: dict[str, list[Endpoint]] = {}
        self.resolving = resolving

    async def start(self, live: Collection[str]) -> list[str]:
        """As NetworkCatalog.start."""
        return await self._catalog.start(live)

    def wanted(self, record: ContainerRecord) -> dict[str, EndpointSettings]:
        """What the container asked of each network, its own one first; empty where it has none, or shares another's."""
        asked = {self._catalog.name_of(ref): settings for ref, settings in record.networking.endpoints_config.items()}
        if record.networks_changed:
            return asked
        own = self._own(record)
        if own.startswith("container:"):
            return {}
        if own == "none":
            return {own: asked.get(own, EndpointSettings())}
        if own in asked or not asked:
            return {own: asked.pop(own, EndpointSettings()), **asked}
        return asked

    def _own(self, record: ContainerRecord) -> str:
        """The network that the container's network mode names, by its name."""
        return "none" if record.config.network_disabled else self._catalog.name_of(network_name(record))

    async def allocate(self, record: ContainerRecord) -> tuple[Place, ...]:
        """Addresses and host ports for a container that is about to start; none where it shares a network.

        Raises: NotFound for a network; what the drivers raise, in Docker's words.
        """
        wanted = self.wanted(record)
        gateway = self.gateway_of(wanted)
        asked = {name: read_endpoint_options(settings.driver_opts) for name, settings in wanted.items()}
        links = dict(zip(asked, interface_names([options.interface for options in asked.values()]), strict=True))
        endpoints: dict[str, Endpoint] = {}
        for name, settings in wanted.items():
            ports = self.port_requests(record) if name == gateway else ()
            endpoints[name] = await self.reserve(record, self._catalog.find(name), settings, ports)
        gateway6 = self.gateway6_of(record, wanted)
        places: list[Place] = []
        for name, endpoint in endpoints.items():
            interface = endpoint.interface(links[name], routes=name == gateway, routes6=name == gateway6)
            driver, is_own = self._catalog.find(name), self._catalog.is_own(name)
            places.append(Place(driver, endpoint, interface, is_own, asked[name].sysctls))
        return tuple(places)

    async def reserve(
        self, record: ContainerRecord, driver: NetworkDriver, settings: EndpointSettings, ports: Sequence[PortRequest]
    ) -> Endpoint:
        """The endpoint of a container in one network. Raises: as NetworkDriver.allocate, in Docker's words."""
        check_endpoint(settings, self._catalog.definition(driver.name))
        mac = settings.mac_address or (record.config.mac_address if driver.name == self._own(record) else "")
        asked = settings.ipam_config or EndpointIPAMConfig()
        with _port_words(record):
            request = EndpointRequest(ports, mac, asked.ipv4_address, asked.ipv6_address, _link_local(settings))
            endpoint = await self._kept_one(record, driver, request) or await driver.allocate(record.id, request)
        self.resolving.changed()
        return endpoint

    @contextmanager
    def keeping(self, record: ContainerRecord) -> Iterator[None]:
        """Within it, a container that starts again gets the addresses and ports that it has now, if nobody else has.

        Raises: Conflict while somebody else does the same.
        """
        if record.id in self._kept:
            raise Conflict(f"container {record.name} is being moved already", fix="wait until that has ended")
        self._kept[record.id] = self.endpoints(record)
        try:
            yield
        finally:
            del self._kept[record.id]

    async def _kept_one(
        self, record: ContainerRecord, driver: NetworkDriver, request: EndpointRequest
    ) -> Endpoint | None:
        """The endpoint with the address and the ports of the one that is kept for the container."""
        kept = next((known for known in self._kept.get(record.id, ()) if known.network == driver.name), None)
        if kept is None:
            return None
        ports = on_same_numbers(request.ports, kept.ports)
        try:
            return await driver.allocate(record.id, replace(request, ports=ports, ip=kept.ip, ip6=kept.ip6))
        except ShoalError:
            return None  # somebody was quicker

    async def publish(
        self,
        record: ContainerRecord,
        driver: PublishingNetwork,
        *,
        closing: Collection[PublishedPort] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Publishes what the record says, as PublishingNetwork.publish. Raises: as that, in Docker's words."""
        with _port_words(record):
            await driver.publish(record.id, self.port_requests(record), closing=closing, also=also)

    def port_requests(self, record: ContainerRecord) -> Sequence[PortRequest]:
        """The ports that the container publishes. Raises: InvalidArgument."""
        requests = parse_port_bindings(
            record.host_config.port_bindings,
            exposed=record.config.exposed_ports,
            publish_all=record.host_config.publish_all_ports,
        )
        if record.config.labels.get(PUBLISHED_PORTS, self._published_ports) == HOST_FIREWALL:
            return [replace(request, guarded=True) for request in requests]
        return requests

    def gateway_of(self, wanted: dict[str, EndpointSettings]) -> str:
        """The network that leads outside: of those with a way out that of the highest priority, then by name.

        One without IPv4 only where there is no other.
        """
        outside = {name: settings for name, settings in wanted.items() if self._leads_outside(name)}
        return _first({name: settings for name, settings in outside.items() if self._has_ipv4(name)} or outside)

    def gateway6_of(self, record: ContainerRecord, wanted: dict[str, EndpointSettings]) -> str:
        """The same for IPv6, of the networks in which the container has such an address at the moment."""
        return _first({name: settings for name, settings in wanted.items() if self._leads_outside6(record, name)})

    def _has_ipv4(self, name: str) -> bool:
        definition = self._catalog.definition(name)
        return definition is None or definition.ipv4

    def _leads_outside(self, name: str) -> bool:
        definition = self._catalog.definition(name)
        return definition is None or not definition.internal

    def _leads_outside6(self, record: ContainerRecord, name: str) -> bool:
        driver = self._catalog.get(name)
        endpoint = driver.endpoint(record.id) if driver else None
        return endpoint is not None and bool(endpoint.ip6) and self._leads_outside(name)

    def wire(self, places: Sequence[Place]) -> Wire | None:
        """What the runtime calls when the container's first process exists; None when there is nothing to connect."""
        connected = [place for place in places if place.interface is not None]
        if not connected:
            return None

        async def connect(pid: int) -> None:
            for place in connected:
                assert place.interface is not None
                await place.driver.connect(place.endpoint, pid, place.interface.name)
                await self.add_link_local(place.endpoint, pid, place.interface.name)
                await self.write_settings(place.endpoint, pid, place.sysctls, place.interface.name)
            if any(place.has_names for place in connected):
                await self.resolving.begin(connected[0].endpoint.container_id, pid)

        return connect

    async def add_link_local(self, endpoint: Endpoint, pid: int, name: str = "") -> None:
        """Gives the container's interface in a network its further addresses. Raises: SyscallError."""
        further = endpoint.link_local
        if further:
            await self._catalog.host.run(lambda _: add_addresses(pid, name, endpoint.addresses[0], further))

    async def write_settings(
        self, endpoint: Endpoint, pid: int, sysctls: Sequence[tuple[str, str, str]], name: str = ""
    ) -> None:
        """Writes what was asked of the container's interface in a network. Raises: SyscallError, InvalidArgument."""
        if sysctls:
            await self._catalog.host.run(lambda _: write_settings(pid, name, endpoint.addresses[0], sysctls))

    def announce(self, record: ContainerRecord, action: str) -> None:
        """Tells of a container that was connected to its networks, or disconnected."""
        for name in self.wanted(record):
            driver = self._catalog.get(name)
            if driver is not None:
                self.announce_one(record, driver, action)

    def announce_one(self, record: ContainerRecord, driver: NetworkDriver, action: str) -> None:
        """Tells of one network."""
        network = driver.inspect()
        attributes = {"container": record.id, "name": network.name, "type": network.driver}
        self._events.publish("network", action, network.id, attributes)

    async def release(self, record: ContainerRecord) -> None:
        """Gives the container's addresses and ports back, in all networks though one fails; harmless when it has none.

        Raises: ShoalError, the first one.
        """
        self.resolving.ended(record.id)
        failure: ShoalError | None = None
        try:
            for driver in self._catalog:
                try:
                    await driver.release(record.id)
                except ShoalError as problem:
                    failure = failure or problem
        finally:
            self.resolving.changed()
        if failure is not None:
            raise failure

    async def found_running(self, record: ContainerRecord) -> None:
        """The container ran on while shoald was away."""
        in_users = any(self._catalog.is_own(endpoint.network) for endpoint in self.endpoints(record))
        await self.resolving.found_running(record, in_users_network=in_users)

    def endpoints(self, record: ContainerRecord) -> list[Endpoint]:
        """The container's endpoints while it has some."""
        found = (driver.endpoint(record.id) for driver in self._catalog)
        return [endpoint for endpoint in found if endpoint is not None]

    def bridge_address(self, record: ContainerRecord) -> str:
        """The container's address on the default bridge while it has one, else ""."""
        driver = self._catalog.get("bridge")
        endpoint = driver.endpoint(record.id) if driver else None
        return endpoint.ip if endpoint else ""

    def view(self, record: ContainerRecord) -> NetworkView:
        """What inspections and lists show of the container's networks."""
        wanted = self.wanted(record)
        if not wanted:
            return NetworkView({}, {})
        key = f"/proc/{record.state.pid}/ns/net" if record.is_running else ""
        shown = {name: self._shown(record, name, settings) for name, settings in wanted.items()}
        published = [port for endpoint in self.endpoints(record) for port in endpoint.ports]
        ports = show_ports(published, record.config.exposed_ports) if record.is_running else {}
        return NetworkView(shown, ports, key)

    def _shown(self, record: ContainerRecord, name: str, asked: EndpointSettings) -> EndpointSettings:
        driver = self._catalog.get(name)
        settings = EndpointSettings(
            aliases=asked.aliases,
            links=asked.links,
            ipam_config=asked.ipam_config,
            driver_opts=asked.driver_opts,
            gw_priority=asked.gw_priority,
        )
        if self._catalog.is_own(name):
            settings.dns_names = dns_names(record, asked)
        if driver is None:
            return settings
        if record.state.started_at_ns:
            settings.network_id = driver.inspect().id
        endpoint = driver.endpoint(record.id)
        if endpoint is not None:
            settings.network_id, settings.endpoint_id = endpoint.network_id, endpoint.endpoint_id
            settings.gateway = "" if endpoint.gateway == ANY_ADDRESS else endpoint.gateway
            settings.mac_address = endpoint.mac
            settings.ip_address, settings.ip_prefix_len = endpoint.ip, endpoint.prefix
            settings.ipv6_gateway = "" if endpoint.gateway6 == ANY_ADDRESS6 else endpoint.gateway6
            settings.global_ipv6_address, settings.global_ipv6_prefix_len = endpoint.ip6, endpoint.prefix6
        return settings


def _first(networks: dict[str, EndpointSettings]) -> str:
    """The network of the highest priority, then by name; "" for none."""
    return min(networks, key=lambda name: (-networks[name].gw_priority, name), default="")


@contextmanager
def _port_words(record: ContainerRecord) -> Iterator[None]:
    """Errors about host ports in the whole of Docker's words."""
    try:
        yield
    except ShoalError as problem:
        if "host port" in problem.what or problem.what.startswith("Bind for"):
            problem.what = f"{_FAILED} {record.name} ({record.id}): {problem.what}"
        raise


def check_endpoint(settings: EndpointSettings, definition: NetworkDefinition | None) -> None:
    """Raises: InvalidArgument, in Docker's words, for an address that only another kind of network gives."""
    asked = settings.ipam_config
    _link_local(settings)
    read_endpoint_options(settings.driver_opts)
    if definition is None and settings.aliases:
        raise InvalidArgument(
            "network-scoped alias is supported only for containers in user defined networks",
            fix="use --link for a name on the default bridge",
        )
    if asked is None or not (asked.ipv4_address or asked.ipv6_address):
        return
    if definition is None:
        raise InvalidArgument("user specified IP address is supported on user defined networks only")
    for address, subnet in ((asked.ipv4_address, definition.subnet), (asked.ipv6_address, definition.subnet6)):
        if address and not subnet:
            raise InvalidArgument(
                "user specified IP address is supported only when connecting to networks with user configured subnets",
                fix=f"make the network with --subnet: docker network create {_example(address)} {definition.name}",
            )


def _link_local(settings: EndpointSettings) -> tuple[str, ...]:
    """The addresses of `--link-local-ip` with their prefixes, Docker's. Raises: InvalidArgument."""
    found = []
    for text in settings.ipam_config.link_local_ips if settings.ipam_config else ():
        try:
            address = ip_address(text)
        except ValueError as error:
            raise InvalidArgument(f"invalid link-local IP address: {text}", why=str(error)) from None
        found.append(f"{address}/{16 if address.version == 4 else 64}")
    return tuple(found)


def _example(address: str) -> str:
    return "--ipv6 --subnet fd00:1:2:3::/64" if ":" in address else "--subnet 10.9.0.0/24"


def on_same_numbers(requests: Sequence[PortRequest], published: Sequence[PublishedPort]) -> list[PortRequest]:
    """The requests for the numbers that the ports had before; those for a fixed number stay as they are."""
    fixed = {
        (request.protocol, request.host_ip, request.host_ports[0])
        for request in requests
        if request.host_ports is not None and len(request.host_ports) == 1
    }
    left = [known for known in published if (known.protocol, known.host_ip, known.host_port) not in fixed]
    return [_on_same_number(request, left) for request in requests]


def _on_same_number(request: PortRequest, left: list[PublishedPort]) -> PortRequest:
    """The request for a number of those left, which it takes out; as it is, where none of them was its own."""
    for known in left:
        place = (known.protocol, known.container_port, known.host_ip)
        is_its = place == (request.protocol, request.container_port, request.host_ip)
        if is_its and known.host_port and known.host_port in (request.host_ports or (known.host_port,)):
            left.remove(known)
            return replace(request, host_ports=range(known.host_port, known.host_port + 1))
    return request
