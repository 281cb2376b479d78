"""Containers looked at, limited anew and cleared away: what the server calls `UpkeepBackend`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from shoal.api.change import FilesystemChange
from shoal.api.container import ContainersPruneReport
from shoal.api.exits import ContainerExits
from shoal.api.filters import Filters
from shoal.api.ports import PortsChange, PortsChanged
from shoal.api.stats import ContainerStats
from shoal.api.top import ContainerTopResponse
from shoal.api.update import ContainerUpdateRequest, ContainerUpdateResponse
from shoal.api.why import NameVerdict, PortVerdict
from shoal.engine.background import Background
from shoal.engine.container.exits_past import PastExits
from shoal.engine.container.exits_view import exits_view, past_view
from shoal.engine.container.metering import Meter
from shoal.engine.container.prune import Pruner
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.top import ProcessLister
from shoal.engine.container.update import Updater
from shoal.engine.name_inquiries import NameInquiries
from shoal.engine.port_inquiries import PortInquiries
from shoal.engine.published_ports import PublishedPorts
from shoal.image.snapshot.protocol import Snapshotter


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Each call a use case, made of the parts in this package."""

    registry: ContainerRegistry
    processes: ProcessLister
    meter: Meter
    snapshotter: Snapshotter
    updater: Updater
    pruner: Pruner
    background: Background
    past_exits: PastExits
    name_inquiries: NameInquiries
    published_ports: PublishedPorts
    port_inquiries: PortInquiries

    async def why_dns(self, ref: str, name: str) -> NameVerdict:
        """What keeps the container from a name. Raises: NotFound, InvalidArgument, Conflict."""
        return await self.name_inquiries.explain(ref, name)

    async def exits(self, ref: str) -> ContainerExits:
        """What ended its last runs, also of one that is gone where its end was nobody's wish. Raises: NotFound."""
        record = self.registry.find_or_none(ref)
        if record is None and (past := self.past_exits.find(ref)) is not None:
            return past_view(past)
        return exits_view(self.registry.find(ref))

    async def top(self, ref: str, arguments: str) -> ContainerTopResponse:
        """The container's processes. Raises: NotFound, Conflict, InvalidArgument, Internal."""
        return await self.processes.list(self.registry.find(ref), arguments)

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        """What the container uses. Raises: NotFound."""
        record = self.registry.find(ref)
        return self.meter.stream(record) if stream else self.meter.single(record, compared=not one_shot)

    async def changes(self, ref: str) -> Sequence[FilesystemChange]:
        """What differs from the image, sorted by path. Raises: NotFound."""
        found = await asyncio.to_thread(self.snapshotter.changes, self.registry.find(ref).id)
        return [FilesystemChange(path=change.path, kind=int(change.kind)) for change in found]

    async def update(self, ref: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Gives the container other limits. Raises: NotFound, Conflict, InvalidArgument, SyscallError."""
        warnings = await self.background.complete(self.updater.update(self.registry.find(ref), request))
        return ContainerUpdateResponse(warnings=warnings)

    async def why_port(self, ref: str, port: str) -> PortVerdict:
        """What keeps clients from its port. Raises: NotFound, InvalidArgument, Conflict."""
        return await self.port_inquiries.explain(ref, port)

    async def ports(self, ref: str, change: PortsChange) -> PortsChanged:
        """Publishes ports, or no longer. Raises: NotFound, Conflict, InvalidArgument, Internal (host port taken)."""
        return await self.published_ports.change(ref, change)

    async def prune(self, filters: Filters) -> ContainersPruneReport:
        """Removes what does not run and what the filters let through. Raises: InvalidArgument, Conflict."""
        return await self.background.complete(self.pruner.prune(filters))
