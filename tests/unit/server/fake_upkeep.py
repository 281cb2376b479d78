"""The part of the engine in memory that looks at containers, limits them anew and clears them away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from shoal.api.change import FilesystemChange
from shoal.api.container import ContainersPruneReport
from shoal.api.exits import ContainerExits
from shoal.api.filters import Filters
from shoal.api.ports import PortsChange, PortsChanged
from shoal.api.stats import BlkioStats, ContainerStats, MemoryStats, PidsStats, no_cpu
from shoal.api.top import ContainerTopResponse
from shoal.api.update import ContainerUpdateRequest, ContainerUpdateResponse
from shoal.api.why import NameVerdict, PortVerdict
from shoal.errors import NotFound

CONTAINER_ID = "c1" + "0" * 62


@dataclass
class FakeUpkeep:
    """The container `c1` again: two processes, one change, and samples without end."""

    notes: list[tuple[object, ...]] = field(default_factory=list)
    was_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def _check(self, ref: str) -> None:
        if ref not in ("c1", CONTAINER_ID):
            raise NotFound(f"No such container: {ref}")

    async def why_dns(self, ref: str, name: str) -> NameVerdict:
        """Nothing is wrong with a name."""
        return NameVerdict(name=f"/{ref}", asked=name, healthy=True)

    async def exits(self, ref: str) -> ContainerExits:
        self._check(ref)
        return ContainerExits(id=CONTAINER_ID, name="/c1", status="exited", started_at="", exits=[])

    async def top(self, ref: str, arguments: str) -> ContainerTopResponse:
        self._check(ref)
        self.notes.append(("top", arguments))
        return ContainerTopResponse(titles=["PID", "CMD"], processes=[["1", "sh"], ["2", "sleep 1"]])

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        self._check(ref)
        self.notes.append(("stats", stream, one_shot))
        return self._samples(endless=stream)

    async def _samples(self, *, endless: bool) -> AsyncIterator[ContainerStats]:
        try:
            while True:
                yield container_stats()
                if not endless:
                    return
                await asyncio.sleep(0.001)
        finally:
            self.was_closed.set()

    async def changes(self, ref: str) -> Sequence[FilesystemChange]:
        self._check(ref)
        return [FilesystemChange(path="/note", kind=1)]

    async def update(self, ref: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        self._check(ref)
        self.notes.append(("update", request))
        return ContainerUpdateResponse(warnings=["no swap"])

    async def why_port(self, ref: str, port: str) -> PortVerdict:
        self._check(ref)
        return PortVerdict(name="/c1", port=port, healthy=True)

    async def ports(self, ref: str, change: PortsChange) -> PortsChanged:
        self._check(ref)
        self.notes.append(("ports", change))
        return PortsChanged(ports=dict(change.add))

    async def prune(self, filters: Filters) -> ContainersPruneReport:
        filters.validate({"label", "label!", "until"})
        self.notes.append(("prune", filters))
        return ContainersPruneReport(containers_deleted=[CONTAINER_ID], space_reclaimed=5)


def container_stats() -> ContainerStats:
    """A sample of `c1` in which nothing was measured."""
    return ContainerStats(
        name="/c1",
        id=CONTAINER_ID,
        pids_stats=PidsStats(current=2),
        blkio_stats=BlkioStats(),
        cpu_stats=no_cpu(),
        precpu_stats=no_cpu(),
        memory_stats=MemoryStats(),
    )
