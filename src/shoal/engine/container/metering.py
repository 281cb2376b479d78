"""Measuring containers, once or every second (Docker API v1.50 ContainerStats).

Each client has its own samples; nothing is measured while nobody looks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

from shoal.api.stats import ContainerStats
from shoal.engine.clock import Clock
from shoal.engine.container.isolation import machine_size
from shoal.engine.container.listing import network_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.stats import empty_sample, followed_by, sample
from shoal.engine.container.waiters import Waiters
from shoal.errors import SyscallError
from shoal.linux.cgroups.layout import Layout
from shoal.linux.network_counters import Counters, interface_counters
from shoal.linux.processor_time import processor_time
from shoal.supervisor.machine.places import BRIDGE, TAP

_INTERVAL_S = 1.0
_JOINS_GUEST = re.compile(f"({BRIDGE}|{TAP})[0-9]+")


class Meter:
    """Takes samples. `cgroup_path` gives the path of a container's cgroup, `memory_bytes` is the machine's."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        cgroups: Layout,
        cgroup_path: Callable[[ContainerRecord], str],
        waiters: Waiters,
        memory_bytes: int,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._cgroups = cgroups
        self._cgroup_path = cgroup_path
        self._waiters = waiters
        self._memory_bytes = memory_bytes
        self._clock = clock

    async def single(self, record: ContainerRecord, *, compared: bool) -> AsyncIterator[ContainerStats]:
        """One sample: at once, or `compared` to one of a second before it where the container runs."""
        before = None
        if compared and record.is_running:
            before = await self._measure(record)
            await asyncio.sleep(_INTERVAL_S)
        yield followed_by(before, await self._measure(record))

    async def stream(self, record: ContainerRecord) -> AsyncIterator[ContainerStats]:
        """A sample every second, through stops and starts, until the container is removed."""
        removed = self._waiters.wait(record.id, "removed")
        before: ContainerStats | None = None
        try:
            while self._registry.get(record.id) is record:
                now = followed_by(before, await self._measure(record))
                yield now
                before = now
                await asyncio.wait([removed], timeout=_INTERVAL_S)
        finally:
            removed.cancel()

    async def _measure(self, record: ContainerRecord) -> ContainerStats:
        return await asyncio.to_thread(self._sample, record)

    def _sample(self, record: ContainerRecord) -> ContainerStats:
        pid = record.state.pid
        if not record.is_running or not pid:
            return empty_sample(record)
        return sample(
            record,
            self._cgroups.open(self._cgroup_path(record)).usage(),
            networks=self._networks(record, pid),
            processors=processor_time(),
            machine_memory_bytes=self._memory_around(record),
            is_v1=self._cgroups.version == "v1",
            now_ns=self._clock(),
        )

    def _memory_around(self, record: ContainerRecord) -> int:
        """The memory of the machine that its programs run in: this one, or a virtual one of its own."""
        size = machine_size(record.host_config)
        return self._memory_bytes if size is None else size.memory_mib << 20

    def _networks(self, record: ContainerRecord, pid: int) -> dict[str, Counters] | None:
        """The counters of the container's network; None where it has none of its own, or has just ended."""
        if network_name(record) in ("host", "none") or record.config.network_disabled:
            return None
        try:
            counters = interface_counters(pid)
        except SyscallError:
            return None
        if machine_size(record.host_config) is None:
            return counters
        return {name: counted for name, counted in counters.items() if not _JOINS_GUEST.fullmatch(name)}
