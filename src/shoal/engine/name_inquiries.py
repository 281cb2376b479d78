"""Why a container does not find a name: what shoald knows and what is in the container, judged together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoal.api.network import EndpointSettings
from shoal.api.why import NameVerdict
from shoal.engine.container.listing import network_name
from shoal.engine.container.record import SHORT_ID, ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container_names import ContainerNames, asked_of, dns_names
from shoal.engine.network_catalog import NetworkCatalog
from shoal.errors import Conflict, InvalidArgument, SyscallError
from shoal.network.dns.name_path import Asked, NamePath, Other, first_fault, found
from shoal.network.dns.names import Upstream
from shoal.network.dns.probing import Inside, NameProber
from shoal.network.dns.redirect import RESOLVER_ADDRESS

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_MOST_SERVERS = 3


class NameInquiries:
    """Answers `shoal why dns`. Changes nothing."""

    def __init__(
        self, registry: ContainerRegistry, catalog: NetworkCatalog, names: ContainerNames, prober: NameProber
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._names = names
        self._prober = prober

    async def explain(self, ref: str, name: str) -> NameVerdict:
        """The first thing that keeps the container from the addresses of a name, or that nothing does.

        Raises: NotFound, InvalidArgument (no name), Conflict when the container ends meanwhile.
        """
        record = self._registry.find(ref)
        wanted = name.rstrip(".")
        if not wanted or len(wanted) > 253 or any(character.isspace() for character in wanted):
            raise InvalidArgument(f"invalid name: {name!r}", why="it is empty, too long, or has a space")
        try:
            path = await self._walk(record, wanted)
        except SyscallError as problem:
            raise Conflict(f"container {record.name} has ended meanwhile", why=str(problem)) from None
        fault = first_fault(path)
        return NameVerdict(
            name=f"/{record.name}",
            asked=wanted,
            healthy=fault is None,
            cause=fault.cause if fault else "",
            sentence=fault.sentence if fault else "",
            hint=fault.hint if fault else "",
            addresses=list(found(path)) if fault is None else [],
        )

    async def _walk(self, record: ContainerRecord, name: str) -> NamePath:
        owner = self._owner(record)
        mode = network_name(owner)
        if record.state.status != "running" or mode == "none" or not owner.is_running:
            return NamePath(record.name, name, record.state.status, mode)
        pid = record.state.pid
        inside = await self._prober.look(pid, name)
        drivers = [driver for driver in self._catalog if driver.endpoint(owner.id) is not None]
        has_names = any(self._catalog.is_own(driver.name) for driver in drivers)
        resolves = RESOLVER_ADDRESS in inside.servers[:1]
        known = self._names.lookup(owner.id, name.lower())
        # A name that others are asked for may take them longer than the prober waits: its own one does not.
        local = name if known is not None else owner.id[:SHORT_ID]
        answer = await self._prober.ask(pid, RESOLVER_ADDRESS, local) if resolves else None
        upstreams = await self._upstreams(owner, inside, resolves=resolves) if known is None or not resolves else []
        return NamePath(
            container=record.name,
            name=name,
            status=record.state.status,
            mode=mode,
            networks=tuple(driver.name for driver in drivers),
            has_names=has_names,
            leads_outside=mode == "host" or self._names.leads_outside(owner.id),
            servers=inside.servers,
            hosts=inside.hosts,
            loopback_up=inside.loopback_up,
            redirected=inside.redirected,
            answer=answer,
            known=None if known is None else tuple(known),
            others=self._others(owner, name.lower()) if known is None else (),
            asked=tuple(await asyncio.gather(*(self._ask(pid, upstream, name) for upstream in upstreams))),
            forwards=await asyncio.to_thread(_forwards),
        )

    def _owner(self, record: ContainerRecord) -> ContainerRecord:
        """The container whose network it is in."""
        mode = network_name(record)
        if not mode.startswith("container:"):
            return record
        return self._registry.find_or_none(mode.removeprefix("container:")) or record

    async def _upstreams(self, owner: ContainerRecord, inside: Inside, *, resolves: bool) -> list[Upstream]:
        """The servers that are asked for what is no container's name."""
        if resolves:
            return list(self._names.upstreams(owner.id))[:_MOST_SERVERS]
        return [Upstream(address) for address in inside.servers[:_MOST_SERVERS]]

    async def _ask(self, pid: int, upstream: Upstream, name: str) -> Asked:
        outcome = await self._prober.ask(None if upstream.on_host else pid, upstream.address, name, upstream.port)
        from_host = None
        if outcome.kind != "answer" and not upstream.on_host:
            from_host = await self._prober.ask(None, upstream.address, name, upstream.port)
        return Asked(upstream.address, outcome, from_host)

    def _others(self, owner: ContainerRecord, name: str) -> tuple[Other, ...]:
        """The containers that have the name somewhere."""
        others = []
        for record in self._registry:
            if record.id == owner.id:
                continue
            places = self._places(record)
            aliases = {alias.lower() for settings in places.values() for alias in dns_names(record, settings)}
            aliases |= {f"{alias}.{network.lower()}" for alias in aliases for network in places}
            if name in aliases or name == record.name.lower():
                others.append(Other(record.name, record.state.status, tuple(places)))
        return tuple(others)

    def _places(self, record: ContainerRecord) -> dict[str, EndpointSettings]:
        """The networks that a container is in, or is to be in when it starts."""
        drivers = [driver for driver in self._catalog if driver.endpoint(record.id) is not None]
        if not record.is_running:
            refs = (network_name(record), *record.networking.endpoints_config)
            wanted = {self._catalog.name_of(ref) for ref in refs}
            drivers = [driver for driver in self._catalog if driver.name in wanted]
        return {driver.name: asked_of(record, driver, self._catalog) for driver in drivers}


def _forwards() -> bool:
    return _IP_FORWARD.read_text().strip() != "0"
