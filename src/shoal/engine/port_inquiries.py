"""Why clients do not reach a container's port: what shoald knows and what the kernel has, judged together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
from shoal.network.port_path import Asked, Finding, Inside, first_fault, limit, not_running, without_network
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
        asked = self._asked(record, protocol, number)
        return await self._judged(record, asked)

    def _asked(self, record: ContainerRecord, protocol: str, number: int) -> Asked:
        owner = self._owner(record)
        mode = network_name(owner)
        asked = Asked(record.name, protocol, number, _status(record), record.state.error, mode)
        network = self._networks.gateway_of(self._networks.wanted(owner))
        # One of an internal network only has no way out, and yet a place that can be looked at.
        driver = self._catalog.get(network) if network else None
        endpoints = [driver.endpoint(owner.id)] if driver else self._networks.endpoints(owner)
        endpoint = next((one for one in endpoints if one is not None and one.ip), None)
        if endpoint is None:
            return asked
        definition = self._catalog.definition(endpoint.network)
        published = _judged_ports(endpoint.ports, asked)
        driver = self._catalog.find(endpoint.network)
        return Asked(
            *(asked.name, protocol, number, asked.status, asked.error, mode, endpoint.network),
            definition is not None and definition.internal,
            driver.inspect().bridge,
            *(endpoint.ip, endpoint.gateway, endpoint.mac, endpoint.veth, published),
        )

    def _owner(self, record: ContainerRecord) -> ContainerRecord:
        """The container whose network it is in."""
        mode = network_name(record)
        if not mode.startswith("container:"):
            return record
        return self._registry.find_or_none(mode.removeprefix("container:")) or record

    async def _judged(self, record: ContainerRecord, asked: Asked) -> PortVerdict:
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
        except ProcessLookupError as error:
            raise Conflict(f"container {record.name} has ended meanwhile") from error
        except FileNotFoundError as error:
            raise Conflict(f"container {record.name} has ended meanwhile") from error
        return _verdict(asked, fault)


def _judged_ports(ports: Sequence[PublishedPort], asked: Asked) -> tuple[PublishedPort, ...]:
    """Those whose path is judged: what clients by IPv4 reach at an address of the host's.

    Raises: Unsupported where the port asked for is published in another way only.
    """
    judged = tuple(port for port in ports if not port.is_ipv6 and port.host_port)
    here = [port for port in ports if (port.protocol, port.container_port) == (asked.protocol, asked.port)]
    if here and not set(here) & set(judged):
        raise Unsupported(
            f"the way to port {asked.key} of {asked.name} cannot be judged",
            why="clients come by IPv6, or by a route to the container itself, and not by an IPv4 address of the host",
            fix=f"ask the container's own address: shoal inspect {asked.name}",
        )
    return judged


def _status(record: ContainerRecord) -> str:
    return "paused" if record.state.status == "paused" else record.state.status


def _verdict(asked: Asked, fault: Finding | None) -> PortVerdict:
    told = fault or limit(asked)
    return PortVerdict(
        name=f"/{asked.name}",
        port=asked.key,
        healthy=fault is None,
        cause=told.cause if told else "",
        sentence=told.sentence if told else "",
        hint=told.hint if told else "",
        published=[f"{port.host_ip}:{port.host_port}" for port in asked.here],
    )
