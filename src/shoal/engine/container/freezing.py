"""Pausing containers: every process frozen by its cgroup (Docker API v1.50 ContainerPause)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Literal

from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord, check_settled
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.health.monitor import HealthMonitor
from shoal.errors import Conflict, SyscallError
from shoal.linux.cgroups.layout import Layout

_GONE = (errno.ENOENT, errno.ENODEV)  # what the cgroup of a container whose last process has ended answers


class Freezer:
    """Freezes and thaws containers. `cgroup_path` gives the path of a container's cgroup in every hierarchy."""

    def __init__(
        self,
        registry: ContainerRegistry,
        cgroups: Layout,
        cgroup_path: Callable[[ContainerRecord], str],
        locks: ContainerLocks,
        events: EventLog,
        health: HealthMonitor,
    ) -> None:
        self._registry = registry
        self._cgroups = cgroups
        self._cgroup_path = cgroup_path
        self._locks = locks
        self._events = events
        self._health = health

    async def pause(self, record: ContainerRecord, *, for_now: bool = False) -> None:
        """Returns when every process is frozen. One that is paused `for_now` does not stay so if shoald is killed.

        Raises: Conflict, in Docker's words; SyscallError.
        """
        async with self._locks.hold(record.id):
            if record.state.status == "paused":
                raise Conflict(f"Container {record.id} is already paused")
            check_settled(record)
            if not record.is_running:
                raise Conflict(f"container {record.id} is not running")
            await self._change(record, "freeze")
            record.move("pause")
            record.state.paused_for_now = for_now
            self._registry.save(record)
            self._health.suspended(record)
        self._events.publish("container", "pause", record.id, record.attributes())

    async def unpause(self, record: ContainerRecord) -> None:
        """Returns when the processes go on. Raises: Conflict, in Docker's words; SyscallError."""
        async with self._locks.hold(record.id):
            if record.state.status != "paused":
                raise Conflict(f"Container {record.id} is not paused")
            await self._change(record, "thaw")
            self._note_unpaused(record)
        self._events.publish("container", "unpause", record.id, record.attributes())

    async def found_running(self, record: ContainerRecord) -> None:
        """Ends what a killed shoald left of a pause: one for now, and one that was not noted, or whose end was not.

        Raises: SyscallError.
        """
        if record.state.status == "paused" and record.state.paused_for_now:
            try:
                await self.unpause(record)
            except Conflict:
                pass  # it has ended
            return
        is_frozen = self._cgroups.open(self._cgroup_path(record)).is_frozen()
        if is_frozen and record.state.status == "running":
            await self._change(record, "thaw")
        elif not is_frozen and record.state.status == "paused":
            self._note_unpaused(record)

    def _note_unpaused(self, record: ContainerRecord) -> None:
        record.move("unpause")
        record.state.paused_for_now = False
        self._registry.save(record)
        self._health.resumed(record)

    async def _change(self, record: ContainerRecord, action: Literal["freeze", "thaw"]) -> None:
        cgroup = self._cgroups.open(self._cgroup_path(record))
        try:
            await asyncio.to_thread(cgroup.freeze if action == "freeze" else cgroup.thaw)
        except SyscallError as problem:
            if problem.errno in _GONE:
                raise Conflict(f"container {record.id} is not running") from problem
            raise
