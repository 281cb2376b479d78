"""Builds and their cache, as the server asks for them. The builder itself is loaded by the first build."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from shoal.api.build import BuildOptions, PruneOptions
from shoal.api.filters import Filters
from shoal.api.progress import JSONMessage
from shoal.api.system import BuildCacheRecord, BuildPruneReport
from shoal.api.timestamps import format_rfc3339
from shoal.engine.clock import Clock
from shoal.engine.container.prune import until_ns
from shoal.engine.events import EventLog

if TYPE_CHECKING:
    from shoal.build.cache import BuildCache, Row
    from shoal.build.cache_mounts import CacheDirectory, CacheMounts
    from shoal.engine.building.kept_contexts import KeptContext, KeptContexts

_ACCEPTED = ("until", "id", "parent", "type", "description", "inuse", "shared", "private", "unused-for")
_MOUNT = "exec.cachemount"
_CONTEXT = "source.local"
_ID = 25  # characters of a step's key that clients see
_AGE_NS = 30 * 24 * 3600 * 10**9
_BUDGET_SHARE = 10  # the cache may have one part in so many of the file system, when nobody uses it for other things


class Building(Protocol):
    """The builder, loaded."""

    @property
    def cache(self) -> BuildCache:
        """What steps came to."""

    @property
    def contexts(self) -> KeptContexts:
        """The contexts that clients send changes of."""

    @property
    def caches(self) -> CacheMounts:
        """The directories that RUNs mount."""

    def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncGenerator[JSONMessage, None]:
        """As BuildBackend.build."""

    async def cancel(self, build_id: str) -> None:
        """As BuildBackend.cancel."""

    async def send_cache(self, body: AsyncIterator[bytes]) -> str:
        """As BuildBackend.send_cache."""

    def cache_archive(self, build: str, *, is_whole: bool) -> AsyncGenerator[bytes, None]:
        """As BuildBackend.cache."""

    async def state(self, build: str, step: int) -> str:
        """As BuildBackend.state."""

    def image_layers(self) -> frozenset[str]:
        """The layers that images have."""

    def size_bytes(self, directory: CacheDirectory) -> int:
        """What is in a directory. May take long."""

    def free(self) -> None:
        """Give the space of what was thrown away back. May take long."""


class Builds:
    """What the server calls `BuildBackend`. `load` makes the builder."""

    def __init__(self, load: Callable[[], Building], data_root: str, events: EventLog, clock: Clock) -> None:
        self._load = load
        self._data_root = data_root
        self._events = events
        self._clock = clock

    @cached_property
    def _building(self) -> Building:
        return self._load()

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[JSONMessage]:
        """See BuildBackend."""
        try:
            async with aclosing(self._building.build(options, body)) as messages:
                async for message in messages:
                    yield message
        finally:
            self.collect()

    async def has_context(self, token: str) -> bool:
        """See BuildBackend."""
        return self._building.contexts.has(token)

    async def cancel(self, build_id: str) -> None:
        """See BuildBackend."""
        await self._building.cancel(build_id)

    async def send_cache(self, body: AsyncIterator[bytes]) -> str:
        """See BuildBackend."""
        return await self._building.send_cache(body)

    async def cache(self, build: str, *, is_whole: bool) -> AsyncIterator[bytes]:
        """See BuildBackend."""
        async with aclosing(self._building.cache_archive(build, is_whole=is_whole)) as pieces:
            async for piece in pieces:
                yield piece

    async def state(self, build: str, step: int) -> str:
        """See BuildBackend."""
        return await self._building.state(build, step)

    async def records(self) -> Sequence[BuildCacheRecord]:
        """All that the cache holds. Docker API v1.50 SystemDataUsage `BuildCache`."""
        shared = self._building.image_layers()
        steps = [_step(row, shared) for row in self._building.cache.rows()]
        return [*steps, *await asyncio.to_thread(self._mounts), *self._contexts()]

    async def prune(self, options: PruneOptions) -> BuildPruneReport:
        """What was removed. Raises: InvalidArgument for a filter."""
        options.filters.validate(_ACCEPTED)
        limit_ns = until_ns(_moments(options.filters), now_ns=self._clock())
        records = {record.id: record for record in await self.records()}
        chosen = [record for record in records.values() if _is_chosen(record, options)]
        rows = {row.key[:_ID]: row for row in self._building.cache.rows()}
        used_ns = {id: row.used_ns for id, row in rows.items()}
        directories = {directory.name: directory for directory in self._building.caches.directories()}
        contexts = {context.id: context for context in self._building.contexts.all()}
        used_ns |= {id: context.used_ns for id, context in contexts.items()}
        used_ns |= {name: directory.used_ns for name, directory in directories.items()}
        old = sorted(
            (record for record in chosen if used_ns.get(record.id, 0) <= limit_ns),
            key=lambda record: used_ns.get(record.id, 0),
        )
        old = _beyond(old, options.keep_bytes, sum(_own_bytes(record) for record in records.values()))
        self._remove(old, rows, directories)
        await asyncio.to_thread(self._building.free)
        reclaimed = sum(_own_bytes(record) for record in old)
        self._events.publish("builder", "prune", "", {"reclaimed": str(reclaimed)})
        return BuildPruneReport(caches_deleted=[record.id for record in old] or None, space_reclaimed=reclaimed)

    def collect(self) -> None:
        """Forgets steps that nobody used for a month, and the oldest ones while the cache has more than its share."""
        cache, now_ns = self._building.cache, self._clock()
        shared = self._building.image_layers()
        rows = cache.rows()
        status = os.statvfs(self._data_root)
        budget = status.f_blocks * status.f_frsize // _BUDGET_SHARE
        total = sum(row.size_bytes for row in rows if not _is_shared(row, shared))
        gone = []
        for row in rows:
            if row.used_ns + _AGE_NS > now_ns and total <= budget:
                break
            gone.append(row)
            total -= 0 if _is_shared(row, shared) else row.size_bytes
        cache.remove(gone)
        self._building.contexts.collect(now_ns)

    def _remove(
        self, records: Iterable[BuildCacheRecord], rows: dict[str, Row], directories: dict[str, CacheDirectory]
    ) -> None:
        self._building.cache.remove(rows[record.id] for record in records if record.id in rows)
        for record in records:
            if record.id in directories:
                self._building.caches.remove(directories[record.id])
            elif record.type == _CONTEXT:
                self._building.contexts.remove(record.id)

    def _contexts(self) -> list[BuildCacheRecord]:
        return [_shown_context(context) for context in self._building.contexts.all()]

    def _mounts(self) -> list[BuildCacheRecord]:
        return [
            BuildCacheRecord(
                id=directory.name,
                type=_MOUNT,
                description="RUN --mount=type=cache",
                in_use=directory.in_use,
                shared=False,
                size=self._building.size_bytes(directory),
                created_at=format_rfc3339(directory.used_ns),
                last_used_at=format_rfc3339(directory.used_ns),
                usage_count=1,
            )
            for directory in self._building.caches.directories()
        ]


def _shown_context(context: KeptContext) -> BuildCacheRecord:
    return BuildCacheRecord(
        id=context.id,
        type=_CONTEXT,
        description="build context",
        in_use=context.in_use,
        shared=False,
        size=context.size_bytes,
        created_at=format_rfc3339(context.used_ns),
        last_used_at=format_rfc3339(context.used_ns),
        usage_count=1,
    )


def _step(row: Row, shared: frozenset[str]) -> BuildCacheRecord:
    return BuildCacheRecord(
        id=row.key[:_ID],
        type=row.kind,
        description=row.description,
        in_use=False,
        shared=_is_shared(row, shared),
        size=row.size_bytes,
        created_at=format_rfc3339(row.created_ns),
        last_used_at=format_rfc3339(row.used_ns),
        usage_count=row.uses,
    )


def _is_shared(row: Row, layers: frozenset[str]) -> bool:
    """Whether the row's layers are an image's, too, so that forgetting the row would free nothing."""
    return not row.chain or row.chain[-1] in layers


def _own_bytes(record: BuildCacheRecord) -> int:
    return 0 if record.shared else record.size


def _moments(filters: Filters) -> Filters:
    """The filters with `until` alone, which has another name as well."""
    until = filters.get("until") or filters.get("unused-for")
    return Filters({"until": until} if until else {})


def _is_chosen(record: BuildCacheRecord, options: PruneOptions) -> bool:
    filters = options.filters
    if record.in_use or (record.shared and not options.all):
        return False
    if "id" in filters and not filters.matches_prefix("id", record.id):
        return False
    if "type" in filters and not filters.matches_exactly("type", record.type):
        return False
    if "description" in filters and not any(text in record.description for text in filters.get("description")):
        return False
    if "parent" in filters or "inuse" in filters:
        return False
    return not ("shared" in filters and not record.shared) and not ("private" in filters and record.shared)


def _beyond(records: list[BuildCacheRecord], keep_bytes: int, total: int) -> list[BuildCacheRecord]:
    """Of these, the oldest first, so many that what stays of `total` is no more than `keep_bytes`."""
    if not keep_bytes:
        return records
    gone = []
    for record in records:
        if total <= keep_bytes:
            break
        gone.append(record)
        total -= _own_bytes(record)
    return gone
