"""New limits and a new restart policy for a container, running or not (Docker API v1.50 ContainerUpdate)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import msgspec

from shoal.api.update import ContainerUpdateRequest
from shoal.engine.container.isolation import VM, check_isolation
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.restart import check_policy
from shoal.engine.events import EventLog
from shoal.engine.specgen import SpecGenerator
from shoal.errors import Conflict, ShoalError, SyscallError
from shoal.linux.cgroups.layout import Layout
from shoal.oci.runtime_spec import Resources


class Updater:
    """Changes limits: in the record, and in the cgroup of a container that runs."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        generator: SpecGenerator,
        cgroups: Layout,
        cgroup_path: Callable[[ContainerRecord], str],
        locks: ContainerLocks,
        events: EventLog,
    ) -> None:
        self._registry = registry
        self._generator = generator
        self._cgroups = cgroups
        self._cgroup_path = cgroup_path
        self._locks = locks
        self._events = events

    async def update(self, record: ContainerRecord, request: ContainerUpdateRequest) -> list[str]:
        """What the engine could not do quite as asked. A container that does not run has its limits at its next start.

        Raises: InvalidArgument for values out of range; Conflict for what contradicts the limits that it has, when it
        is being removed, or when the kernel refuses a value: then the record keeps the old ones.
        """
        check_policy(request.restart_policy, auto_remove=False)
        request, warnings = self._generator.check_update(request)
        async with self._locks.hold(record.id):
            try:
                await self._update(record, request)
            except ShoalError as problem:
                problem.what = f"Cannot update container {record.id}: {problem.what}"
                raise
        self._events.publish("container", "update", record.id, record.attributes())
        return warnings

    async def _update(self, record: ContainerRecord, request: ContainerUpdateRequest) -> None:
        if record.state.status in ("removing", "dead"):
            raise Conflict('container is marked for removal and cannot be "update"')
        before = record.host_config
        updated, limits = self._generator.update(before, request)
        if before.isolation == VM:
            check_isolation(updated)
            limits = _of_machine(record, limits)
        if record.is_running and limits != Resources():
            await asyncio.to_thread(self._apply, record, limits)
        record.host_config = updated
        try:
            self._registry.save(record)
        except ShoalError:
            record.host_config = before
            raise

    def _apply(self, record: ContainerRecord, limits: Resources) -> None:
        try:
            self._cgroups.open(self._cgroup_path(record)).apply(msgspec.to_builtins(limits))
        except SyscallError as problem:
            if problem.errno not in (errno.EINVAL, errno.EBUSY, errno.ERANGE):
                raise
            raise Conflict(problem.what, why=problem.why, fix=problem.fix) from problem


def _of_machine(record: ContainerRecord, limits: Resources) -> Resources:
    """What of the new limits a machine that runs can be held to. Raises: Conflict."""
    if record.is_running and limits.memory is not None and limits.memory.limit is not None:
        raise Conflict(
            "the memory of a virtual machine cannot be changed while it runs",
            why="it is the machine's size",
            fix=f"docker stop {record.name}, then update it, then start it",
        )
    return Resources(cpu=limits.cpu, block_io=limits.block_io)
