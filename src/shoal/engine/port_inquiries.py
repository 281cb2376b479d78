"""Why clients do not reach a container's port: what shoald knows and what the kernel has, judged together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from shoal.api.why import PortVerdict
from shoal.engine.container.listing import network_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networking import ContainerNetworks
from shoal.errors import Conflict, Unsupported
from shoal.network.bridge_host import BridgeHost
from shoal.network.endpoint import PublishedPort
from shoal.network.listeners import read_listeners
from shoal.network.port_facts import look_inside, look_outside
from shoal.network.port_path import first_fault, limit, not_running, without_network
from shoal.network.port_question import Asked, Finding, Inside, place
from shoal.network.ports import parse_port


class PortInquiries:
    """Answers `shoal why port`. Changes nothing."""

    def __init__(
        self, registry: ContainerRegistry, catalog: NetworkCatalog, networks: ContainerNetworks, host: BridgeHost
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._networks = networks
        self._host = host

    async def explain(self, ref: str, port: str) -> PortVerdict:
        """The first thing that is wrong on the way to a port ("80", "53/udp"), or that nothing is.

        Raises: NotFound, InvalidArgument, Conflict when the container ends meanwhile.
        """
        record = self._registry.find(ref)
        protocol, number = parse_port(port)
        paths = self._paths(record, protocol, number)
        for asked in paths:
            if (fault := await self._fault(record, asked)) is not None:
                return _verdict(paths, fault)
        return _verdict(paths, None)

    def _paths(self, record: ContainerRecord, protocol: str, number: int) -> list[Asked]:
        """The ways of IPv4 and IPv6 on which the port is published; one of them where it is on neither."""
        owner = self._owner(record)
        mode = network_name(owner)
        asked = Asked(record.name, protocol, number, _status(record), record.state.error, mode)
        network = self._networks.gateway_of(self._networks.wanted(owner))
        # One of an internal network only has no way out, and yet a place that can be looked at.
        driver = self._catalog.get(network) if network else None
        endpoints = [driver.endpoint(owner.id)] if driver else self._networks.endpoints(owner)
        endpoint = next((one for one in endpoints if one is not None and one.addresses), None)
        if endpoint is None:
            return [asked]
        definition = self._catalog.definition(endpoint.network)
        asked = replace(
            asked,
            network=endpoint.network,
            internal=definition is not None and definition.internal,
            bridge=self._catalog.find(endpoint.network).inspect().bridge,
            mac=endpoint.mac,
            veth=endpoint.veth,
        )
        published = _judged_ports(endpoint.ports, asked)
        paths = [
            replace(asked, ip=ip, gateway=gateway, published=tuple(_of_family(published, ip)))
            for ip, gateway in ((endpoint.ip, endpoint.gateway), (endpoint.ip6, endpoint.gateway6))
            if ip
        ]
        return [path for path in paths if path.here] or paths[:1]

    def _owner(self, record: ContainerRecord) -> ContainerRecord:
        """The container whose network it is in."""
        mode = network_name(record)
        if not mode.startswith("container:"):
            return record
        return self._registry.find_or_none(mode.removeprefix("container:")) or record

    async def _fault(self, record: ContainerRecord, asked: Asked) -> Finding | None:
        """The first thing that is wrong on one way. Raises: Conflict when the container ends meanwhile."""
        fault = not_running(asked)
        try:
            if fault is None and not asked.network:
                listeners = await asyncio.to_thread(read_listeners, str(record.state.pid))
                fault = without_network(asked, Inside(tuple(listeners)))
            elif fault is None:
                inside = await asyncio.to_thread(look_inside, asked, record.state.pid)
                ruleset = await self._host.run(lambda kernel: kernel.nft.read())
                outside = await asyncio.to_thread(look_outside, asked, ruleset, self._host.table)
                fault = first_fault(asked, inside, outside)
        except (ProcessLookupError, FileNotFoundError) as error:
            raise Conflict(f"container {record.name} has ended meanwhile") from error
        return fault


def _judged_ports(ports: Sequence[PublishedPort], asked: Asked) -> list[PublishedPort]:
    """Those whose path is judged: what clients reach at an address of the host's.

    Raises: Unsupported where the port asked for is published in another way only.
    """
    judged = [port for port in ports if port.host_port]
    here = [port for port in ports if (port.protocol, port.container_port) == (asked.protocol, asked.port)]
    if here and not set(here) & set(judged):
        raise Unsupported(
            f"the way to port {asked.key} of {asked.name} cannot be judged",
            why="clients come by a route to the container itself, and not by an address of the host",
            fix=f"ask the container's own address: shoal inspect {asked.name}",
        )
    return judged


def _of_family(ports: Sequence[PublishedPort], address: str) -> list[PublishedPort]:
    """Those that clients reach by IPv4, or by IPv6, as `address` is one of."""
    return [port for port in ports if port.is_ipv6 == (":" in address)]


def _status(record: ContainerRecord) -> str:
    return "paused" if record.state.status == "paused" else record.state.status


def _verdict(paths: Sequence[Asked], fault: Finding | None) -> PortVerdict:
    asked = replace(paths[0], published=tuple(port for path in paths for port in path.here))
    told = fault or limit(asked)
    return PortVerdict(
        name=f"/{asked.name}",
        port=asked.key,
        healthy=fault is None,
        cause=told.cause if told else "",
        sentence=told.sentence if told else "",
        hint=told.hint if told else "",
        published=[place(port.host_ip, port.host_port) for port in asked.here],
    )
