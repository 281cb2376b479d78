"""Starting a container, and what follows when its process ends.

start ─▶ addresses and ports ─▶ specification ─▶ driver.start ─▶ running
                                                    │ fails: everything is given back, the error is kept
driver tells the end ─▶ exited ─▶ addresses given back ─▶ waiters told ─▶ removed
                     └▶ restarting (its policy wants it back) ─▶ … ─▶ back-off ─▶ started again
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.exits import ExitRecord, good_run_s, kept
from shoal.engine.container.exits_noting import ExitNoter, exit_attributes, oom_attributes
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.oom_watch import OomWatch
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.restart import next_delay_s, should_restart
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.events import EventLog
from shoal.engine.health.monitor import HealthMonitor
from shoal.engine.networking import ContainerNetworks
from shoal.errors import Conflict, NotModified, ShoalError
from shoal.linux.procfs import start_time_ticks
from shoal.runtime.driver import Exit, RuntimeDriver

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
UNKNOWN_EXIT = "exit code unknown: shoald and the container's supervisor were both gone when the process ended"


class Lifecycle:
    """Runs containers by the rules of Docker; the state of each is changed under its lock only."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        driver: RuntimeDriver,
        networks: ContainerNetworks,
        launches: LaunchBuilder,
        remover: Remover,
        waiters: Waiters,
        clients: WaitingClients,
        locks: ContainerLocks,
        events: EventLog,
        background: Background,
        volumes: ContainerVolumes,
        health: HealthMonitor,
        logs: ContainerLogs,
        exits: ExitNoter,
        oom_watch: OomWatch,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._networks = networks
        self._launches = launches
        self._remover = remover
        self._waiters = waiters
        self._clients = clients
        self._locks = locks
        self._events = events
        self._background = background
        self._kept: set[str] = set()
        self._rests = False
        self._volumes = volumes
        self._health = health
        self._logs = logs
        self._exits = exits
        self._oom_watch = oom_watch
        self._clock = clock

    async def start(self, record: ContainerRecord) -> None:
        """Runs the container, as a client asks: its restarts are counted from zero again.

        Raises: NotModified when it runs already; Conflict when it is paused or being removed; what the network and the
        driver raise, after everything was given back.
        """
        async with self._locks.hold(record.id):
            if record.is_active and record.state.status != "paused":
                raise NotModified(f"container {record.id} is already running")
            record.restart_count, record.restart_delay_s = 0, None
            await self._start_locked(record)

    async def _start_locked(self, record: ContainerRecord) -> None:
        status = record.state.status
        if status == "paused":
            raise Conflict("cannot start a paused container, try unpause instead", fix=f"docker unpause {record.name}")
        if status in ("removing", "dead"):
            raise Conflict("container is marked for removal and cannot be started")
        record.state.stopped_by_user = False
        try:
            await self._launch(record)
        except BaseException as problem:
            await self._failed(record, problem)
            raise
        self._networks.announce(record, "connect")
        self._volumes.announce(record, "mount")
        self._events.publish("container", "start", record.id, record.attributes())
        self._health.started(record)
        self._oom_watch.started(record)

    async def _launch(self, record: ContainerRecord) -> None:
        clients = self._clients.take(record.id)
        try:
            places = await self._networks.allocate(record)
            launch = self._launches.build(record, places, clients, await self._logs.opened(record))
            wire = self._networks.wire(places)
        except BaseException:
            for client in clients:
                client.socket.close()
            raise
        started = await self._driver.start(launch, wire)
        state = record.state
        record.move("start")
        state.pid, state.started_at_ns = started.pid, started.started_at_ns
        state.start_ticks = _ticks(started.pid)
        state.exit_code, state.exit_known, state.error, state.oom_killed = 0, True, "", False
        state.asked = None
        self._save(record)
        for warning in started.warnings:
            _log.warning("container %s: %s", record.name, warning)

    async def _failed(self, record: ContainerRecord, problem: BaseException) -> None:
        """Gives back what the start took, and keeps the reason."""
        await self._release(record)
        was_restarting = record.is_restarting
        record.move("fail")
        record.state.error = str(problem)
        record.state.exit_code = failure_code(str(problem), before=record.state.exit_code)
        now_ns = self._clock()
        failed = ExitRecord(
            cause="start-failed", started_ns=now_ns, ended_ns=now_ns, code=record.state.exit_code, why=str(problem)
        )
        record.exits = kept(record.exits, failed)
        self._save(record)
        if was_restarting:
            self._waiters.exited(record.id, Ending(record.state.exit_code, record.state.error))
        if record.host_config.auto_remove:
            self._background.spawn(self._remove_ended(record), f"removing container {record.name}")

    def exited(self, id: str, exit: Exit) -> None:
        """The driver tells that the container's process ended."""
        record = self._registry.get(id)
        if record is not None:
            self._background.spawn(self._after_exit(record, exit), f"noting the end of container {record.name}")

    async def _after_exit(self, record: ContainerRecord, exit: Exit) -> None:
        async with self._locks.hold(record.id):
            if record.is_running:
                await self.note_exit(record, exit)
        if record.is_restarting:
            await self._restart_later(record)
        elif record.host_config.auto_remove and record.id not in self._kept:
            await self._remove_ended(record)

    async def note_exit(self, record: ContainerRecord, exit: Exit) -> None:
        """Brings the record, the network and everyone who waits up to date with the end of the process.

        Afterwards the container is `exited`, or `restarting` where its policy wants it back.
        """
        end = await self._exits.tell(record, exit)
        record.exits = kept(record.exits, end)
        state = record.state
        was_told = state.oom_killed
        state.pid, state.start_ticks = 0, None
        state.exit_code, state.exit_known = (exit.code if exit.known else -1), exit.known
        state.error = "" if exit.known else UNKNOWN_EXIT
        state.oom_killed, state.finished_at_ns = exit.oom_killed, exit.finished_at_ns
        if self._wants_restart(record):
            record.move("exit_for_now")
            record.restart_count += 1
        else:
            record.move("exit")
        self._health.ended(record)
        self._oom_watch.ended(record)
        await self._release(record)
        self._save(record)
        if exit.oom_killed and not was_told:
            self._events.publish("container", "oom", record.id, {**record.attributes(), **oom_attributes(end.oom)})
        ran_s = (state.finished_at_ns - state.started_at_ns) // _NS
        attributes = {"exitCode": str(state.exit_code), "execDuration": str(ran_s), **exit_attributes(end)}
        self._events.publish("container", "die", record.id, {**record.attributes(), **attributes})
        self._networks.announce(record, "disconnect")
        self._volumes.announce(record, "unmount")
        self._waiters.exited(record.id, Ending(state.exit_code, state.error))

    async def _release(self, record: ContainerRecord) -> None:
        """Gives the container's address and ports back; what cannot be given back is free at the next start."""
        try:
            await self._networks.release(record)
        except ShoalError as problem:
            _log.error("cannot give back the address of container %s: %s", record.name, problem)

    def _save(self, record: ContainerRecord) -> None:
        """Writes the record, if the disk has room: what has begun or ended has done so either way.

        Nobody must wait for ever because the disk is full; the next change of the record writes this one too.
        """
        try:
            self._registry.save(record)
        except ShoalError as problem:
            _log.error("cannot note the state of container %s: %s", record.name, problem)

    async def _remove_ended(self, record: ContainerRecord) -> None:
        async with self._locks.hold(record.id):
            if self._registry.get(record.id) is record and not record.is_running:
                await self._remover.remove(record)

    def _wants_restart(self, record: ContainerRecord) -> bool:
        state = record.state
        if state.asked is not None and state.asked.restarts and not self._rests:
            return True
        return not self._rests and should_restart(
            record.host_config.restart_policy,
            exit_code=state.exit_code,
            stopped_by_user=state.stopped_by_user,
            restart_count=record.restart_count,
        )

    async def _restart_later(self, record: ContainerRecord) -> None:
        """Starts the container again after its back-off, unless somebody changed it meanwhile."""
        ended_ns = record.state.finished_at_ns
        ran_s = good_run_s(record.exits[-1]) if record.exits else 0.0
        record.restart_delay_s = next_delay_s(record.restart_delay_s, ran_s)
        await asyncio.sleep(record.restart_delay_s)
        async with self._locks.hold(record.id):
            # It may have been stopped, started and have ended anew: then another back-off is for that end.
            is_due = record.is_restarting and record.state.finished_at_ns == ended_ns
            if is_due and not self._rests:
                await self._start_locked(record)

    async def found_running(self, record: ContainerRecord, exec_ids: tuple[str, ...]) -> None:
        """The container ran on while shoald was away, and so did some execs in it: it is looked after again."""
        await self._networks.found_running(record)
        await self._health.recovered(record, exec_ids)
        self._oom_watch.started(record)

    def close(self) -> None:
        """Looks after no container any more: shoald leaves."""
        self._health.close()
        self._oom_watch.close()

    def start_by_policy(self, record: ContainerRecord) -> None:
        """Starts a container that its restart policy wants back, without anybody waiting for it."""
        again = self._restart_later(record) if record.is_restarting else self.start(record)
        self._background.spawn(again, f"starting container {record.name} by its restart policy")

    def rest(self) -> None:
        """From now on no policy starts a container: the daemon is about to leave."""
        self._rests = True

    @contextmanager
    def kept(self, record: ContainerRecord) -> Iterator[None]:
        """Within it, the container outlives its process though it is to be removed at its end."""
        self._kept.add(record.id)
        try:
            yield
        finally:
            self._kept.discard(record.id)


def failure_code(message: str, *, before: int) -> int:
    """The exit code that Docker gives a container whose process could not be started; `before`, its last one, stays."""
    if "executable file not found" in message or "no such file or directory" in message.lower():
        return 127
    if "permission denied" in message.lower() or "is a directory" in message.lower():
        return 126
    return before or 128


def _ticks(pid: int) -> int | None:
    """The start time of a process that may be gone by now."""
    try:
        return start_time_ticks(pid)
    except (OSError, ShoalError):
        return None
