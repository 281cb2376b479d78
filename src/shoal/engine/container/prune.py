"""Removing every container that does not run (Docker API v1.50 ContainerPrune)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shoal.api.container import ContainersPruneReport
from shoal.api.filters import Filters
from shoal.api.timestamps import parse_moment
from shoal.engine.clock import Clock
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.events import EventLog
from shoal.errors import Conflict, InvalidArgument, NotFound
from shoal.image.snapshot.protocol import Snapshotter

_ACCEPTED = ("label", "label!", "until")


class Pruner:
    """Removes what does not run; one at a time."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        locks: ContainerLocks,
        remover: Remover,
        snapshotter: Snapshotter,
        events: EventLog,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._locks = locks
        self._remover = remover
        self._snapshotter = snapshotter
        self._events = events
        self._clock = clock
        self._is_pruning = False

    async def prune(self, filters: Filters) -> ContainersPruneReport:
        """What was removed, and how much its writable layers had held.

        Raises: InvalidArgument for a filter; Conflict while another prune is at work.
        """
        chosen = choose(self._registry, filters, now_ns=self._clock())
        if self._is_pruning:
            raise Conflict("a prune operation is already running")
        self._is_pruning = True
        try:
            return await self._remove_all(chosen)
        finally:
            self._is_pruning = False

    async def _remove_all(self, chosen: Iterable[ContainerRecord]) -> ContainersPruneReport:
        removed: list[str] = []
        reclaimed = 0
        for record in chosen:
            size = await asyncio.to_thread(self._size_bytes, record.id)
            if await self._remove(record):
                removed.append(record.id)
                reclaimed += size
        self._events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
        return ContainersPruneReport(containers_deleted=removed or None, space_reclaimed=reclaimed)

    async def _remove(self, record: ContainerRecord) -> bool:
        """Whether the container was there to be removed: it may run by now, or be gone."""
        async with self._locks.hold(record.id):
            if self._registry.get(record.id) is not record or record.is_active:
                return False
            await self._remover.remove(record)
            return True

    def _size_bytes(self, id: str) -> int:
        try:
            return self._snapshotter.usage(id).size_bytes
        except NotFound:
            return 0  # a removal that was cut short had come so far


def until_ns(filters: Filters, *, now_ns: int) -> int:
    """The moment of a prune's filter `until`: what is younger stays. Raises: InvalidArgument."""
    moments = filters.get("until")
    if len(moments) > 1:
        raise InvalidArgument("more than one until filter specified")
    return parse_moment(moments[0], now_ns=now_ns) if moments else now_ns


def choose(records: Iterable[ContainerRecord], filters: Filters, *, now_ns: int) -> list[ContainerRecord]:
    """The containers that a prune takes. Pure.

    Raises: InvalidArgument for a filter or a value that there is not.
    """
    filters.validate(_ACCEPTED)
    limit_ns = until_ns(filters, now_ns=now_ns)
    unwanted = "label!" in filters
    return [
        record
        for record in records
        if not record.is_active
        and record.created_ns <= limit_ns
        and filters.matches_labels(record.config.labels)
        and not (unwanted and filters.matches_labels(record.config.labels, "label!"))
    ]
