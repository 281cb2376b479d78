"""What shoald does when it starts: compares database, directories and kernel, and repairs what a killed daemon left.

    after a boot of the machine ─▶ no process id is believed any more
    removals cut short ─▶ finished
    containers that ran ─▶ taken up again with their health checks, or their end noted (exit record, reaped, or unknown)
    pauses that were half done, or a commit's ─▶ ended
    addresses and ports ─▶ kept for those that run, free for the rest
    volumes made for a container that never came to be ─▶ removed, if nobody named them
    directories, layers, FIFOs without a container ─▶ removed
    restart policies ─▶ applied

Each repair is logged with its reason.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from shoal.engine.boots import Boots
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.image_mounts import owner_of
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.lifecycle import Lifecycle
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.restart import wants_start_at_boot
from shoal.engine.networking import ContainerNetworks
from shoal.engine.paths import Paths
from shoal.engine.trash import Trash
from shoal.engine.volumes import Volumes
from shoal.errors import ShoalError
from shoal.image.snapshot.protocol import Snapshotter
from shoal.runtime.driver import Exit, KnownContainer, Recovered, RuntimeDriver

_log = logging.getLogger(__name__)


class Recovery:
    """One start of the daemon."""

    def __init__(
        self,
        *,
        paths: Paths,
        registry: ContainerRegistry,
        snapshotter: Snapshotter,
        networks: ContainerNetworks,
        driver: RuntimeDriver,
        launches: LaunchBuilder,
        lifecycle: Lifecycle,
        freezer: Freezer,
        remover: Remover,
        locks: ContainerLocks,
        volumes: Volumes,
        boots: Boots,
        logs: ContainerLogs,
    ) -> None:
        self._paths = paths
        self._registry = registry
        self._snapshotter = snapshotter
        self._networks = networks
        self._driver = driver
        self._launches = launches
        self._lifecycle = lifecycle
        self._freezer = freezer
        self._remover = remover
        self._locks = locks
        self._volumes = volumes
        self._boots = boots
        self._logs = logs

    async def run(self) -> None:
        """Brings everything in line; the API is served afterwards only. Raises: ShoalError when that is impossible."""
        ran = [record for record in self._registry if record.is_running]
        if self._boots.is_another:
            _log.info("the machine was booted anew: whatever ran has ended")
            for record in ran:
                # The numbers are others' by now. An exit record that was written before is still believed.
                record.state.pid, record.state.start_ticks = 0, None
        found = await self._recover(ran)
        live = {record.id for record, told in found if told.exit is None}
        for note in await self._networks.start(live):
            _log.warning("network: %s", note)
        for record, told in found:
            if told.note:
                _log.warning("container %s: %s", record.name, told.note)
            if told.exit is not None:
                await self._note_end(record, told.exit)
            else:
                await self._lifecycle.found_running(record, told.exec_ids)
                await self._freezer.found_running(record)
        await self._finish_removals(record for record in self._registry if not record.is_running)
        await asyncio.to_thread(self._sweep, {record.id for record in self._registry})
        for note in self._volumes.repair():
            _log.warning("%s", note)
        await asyncio.to_thread(self._volumes.purge)
        self._boots.note()
        self._apply_policies()

    async def _recover(self, ran: list[ContainerRecord]) -> list[tuple[ContainerRecord, Recovered]]:
        known: list[KnownContainer] = []
        lost: list[tuple[ContainerRecord, Recovered]] = []
        logs = await asyncio.gather(*map(self._logs.known, ran))
        for record, log in zip(ran, logs, strict=True):
            try:
                known.append(self._launches.known(record, log))
            except ShoalError as problem:
                lost.append((record, _unknown_end(record, str(problem))))
        told = {recovered.id: recovered for recovered in await self._driver.recover(known)}
        return [*lost, *((record, told[record.id]) for record in ran if record.id in told)]

    async def _note_end(self, record: ContainerRecord, exit: Exit) -> None:
        async with self._locks.hold(record.id):
            await self._lifecycle.note_exit(record, exit)
        end = f"exit code {exit.code}" if exit.known else "an unknown exit code"
        _log.warning("container %s ended with %s while shoald was away", record.name, end)

    async def _finish_removals(self, stopped: Iterable[ContainerRecord]) -> None:
        for record in stopped:
            unfinished = record.state.status in ("removing", "dead")
            if unfinished or (record.host_config.auto_remove and record.state.status == "exited"):
                try:
                    await self._remover.remove(record)
                    _log.warning("container %s: finished its removal", record.name)
                except ShoalError as problem:
                    _log.error("container %s: cannot finish its removal: %s", record.name, problem)

    def _sweep(self, known: set[str]) -> None:
        """Removes what belongs to no container."""
        for key in list(self._snapshotter.keys()):
            if owner_of(key) not in known:
                try:
                    self._snapshotter.remove(key)
                except (ShoalError, OSError) as problem:
                    _log.error("cannot remove the layer of a container that was never finished: %s: %s", key, problem)
                else:
                    _log.warning("removed the layer of a container that was never finished: %s", key)
        for parent in (self._paths.containers, self._paths.exec_root / "containers"):
            for directory in _directories(parent):
                if directory.name not in known:
                    shutil.rmtree(directory, ignore_errors=True)
                    _log.warning("removed a directory without a container: %s", directory)
        Trash(self._paths.trash).purge()
        self._snapshotter.purge_trash()

    def _apply_policies(self) -> None:
        """Starts what waited for its restart policy, has just been found ended, or is to run whenever shoald does."""
        for record in self._registry:
            policy, state = record.host_config.restart_policy, record.state
            if record.is_running or state.started_at_ns == 0:
                continue
            by_boot = wants_start_at_boot(policy, stopped_by_user=state.stopped_by_user)
            if record.is_restarting or by_boot:
                self._lifecycle.start_by_policy(record)


def _directories(parent: Path) -> list[Path]:
    return [entry for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []


def _unknown_end(record: ContainerRecord, why: str) -> Recovered:
    """What is said of a container whose bundle is lost, so that nobody can take it up again."""
    finished_ns = record.state.started_at_ns
    return Recovered(record.id, None, Exit(0, finished_ns, known=False), note=why)
