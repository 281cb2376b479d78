"""Tells of an OOM kill when it happens: the container may well outlive it, if the victim was not its first process.

started, with a memory limit ─▶ the kernel's notice ─▶ look whether a process was killed ─▶ event `oom`
ended ─▶ no more notices: a kill that was not told of yet is told with the end

A container without a memory limit costs nothing here; one with a limit a descriptor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shoal.engine.background import Background
from shoal.engine.container.exits_noting import oom_attributes
from shoal.engine.container.exits_oom import OomInquiry
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import ShoalError
from shoal.linux.cgroups.layout import Layout
from shoal.linux.cgroups.oom_events import drain, oom_events
from shoal.linux.fd import Fd

_log = logging.getLogger(__name__)
# The notice of version 1 comes before the kill.
_LOOKS_S = (0.02, 0.1, 0.5)


class _Watch:
    """One container that is watched; `kills` have been told of, `notices` have come since somebody looked."""

    __slots__ = ("events", "kills", "looking", "notices")

    def __init__(self, events: Fd, kills: int) -> None:
        self.events = events
        self.kills = kills
        self.looking = False
        self.notices = 0


class OomWatch:
    """Watches the containers that have a memory limit."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        cgroups: Layout,
        cgroup_path: Callable[[ContainerRecord], str],
        inquiry: OomInquiry,
        events: EventLog,
        background: Background,
    ) -> None:
        self._registry = registry
        self._cgroups = cgroups
        self._cgroup_path = cgroup_path
        self._inquiry = inquiry
        self._events = events
        self._background = background
        self._watches: dict[str, _Watch] = {}

    def started(self, record: ContainerRecord) -> None:
        """The container runs, maybe since before shoald did."""
        if record.host_config.memory <= 0:
            return
        self.ended(record)
        cgroup = self._cgroups.open(self._cgroup_path(record))
        try:
            events = oom_events(cgroup)
        except ShoalError as problem:
            _log.debug("container %s is not watched for OOM kills: %s", record.name, problem)  # it has ended
            return
        if events is None:
            return
        # After a restart of shoald: those before it have been told of, if one was.
        watch = _Watch(events, cgroup.oom_kills() if record.state.oom_killed else 0)
        self._watches[record.id] = watch
        asyncio.get_running_loop().add_reader(events.fileno(), self._noticed, record, watch)

    def ended(self, record: ContainerRecord) -> None:
        """The container has ended."""
        watch = self._watches.pop(record.id, None)
        if watch is not None:
            self._close(watch)

    def close(self) -> None:
        """Watches nothing any more: shoald leaves."""
        for watch in self._watches.values():
            self._close(watch)
        self._watches.clear()

    def _close(self, watch: _Watch) -> None:
        asyncio.get_running_loop().remove_reader(watch.events.fileno())
        watch.events.close()

    def _noticed(self, record: ContainerRecord, watch: _Watch) -> None:
        drain(watch.events)
        watch.notices += 1
        if not watch.looking:
            watch.looking = True
            self._background.spawn(self._look(record, watch), f"telling of an OOM kill in container {record.name}")

    async def _look(self, record: ContainerRecord, watch: _Watch) -> None:
        try:
            while watch.notices:
                watch.notices = 0
                if await self._killed(record, watch):
                    await self._tell(record, watch)
        finally:
            watch.looking = False

    async def _killed(self, record: ContainerRecord, watch: _Watch) -> bool:
        """Whether a process was killed that nobody was told of; waits for it for some moments."""
        for pause_s in _LOOKS_S:
            await asyncio.sleep(pause_s)
            if self._watches.get(record.id) is not watch:
                return False
            kills = self._cgroups.open(self._cgroup_path(record)).oom_kills()
            if kills > watch.kills:
                watch.kills = kills
                return True
        return False

    async def _tell(self, record: ContainerRecord, watch: _Watch) -> None:
        oom = await self._inquiry.explain(record.id, record.exits)
        if self._watches.get(record.id) is not watch:
            return  # it has ended meanwhile, and its end tells
        record.state.oom_killed = True
        self._registry.save(record)
        self._events.publish("container", "oom", record.id, {**record.attributes(), **oom_attributes(oom)})
