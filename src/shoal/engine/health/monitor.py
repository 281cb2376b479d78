"""When to probe which container, and what its health is by that.

started ─▶ wait ─▶ probe ─▶ note the result ─┐      paused, ended ─▶ nobody looks
             ▲───────────────────────────────┘      unpaused, shoald is back ─▶ wait …

A container with a check costs a timer, and while it is probed a task; one without costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.engine.container.record import ContainerRecord
from shoal.engine.events import EventLog
from shoal.engine.health.check import HealthCheck, health_check
from shoal.engine.health.prober import Prober
from shoal.engine.health.record import HealthRecord, ProbeResult
from shoal.engine.health.store import HealthStore
from shoal.errors import ShoalError

_log = logging.getLogger(__name__)
_NS = 1_000_000_000

OnUnhealthy = Callable[[ContainerRecord, HealthRecord], None]


class _Watch:
    """One container that is looked after; `probing` is the task of the probe that runs."""

    __slots__ = ("check", "probing", "timer")

    def __init__(self, check: HealthCheck) -> None:
        self.check = check
        self.timer: asyncio.TimerHandle | None = None
        self.probing: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ends it, and the probe with it."""
        if self.timer is not None:
            self.timer.cancel()
        if self.probing is not None:
            self.probing.cancel()


class HealthMonitor:
    """Looks after the health of all containers. Its methods are called on the event loop, at the moment they name."""

    def __init__(
        self, store: HealthStore, prober: Prober, events: EventLog, clock: Clock, background: Background
    ) -> None:
        self._store = store
        self._prober = prober
        self._events = events
        self._clock = clock
        self._background = background
        self._watches: dict[str, _Watch] = {}
        self._on_unhealthy: OnUnhealthy | None = None

    def subscribe(self, on_unhealthy: OnUnhealthy) -> None:
        """Sets whom to tell of a container that is found unhealthy, each time a probe finds it so."""
        self._on_unhealthy = on_unhealthy

    def health(self, id: str) -> HealthRecord | None:
        """The health of a container; None when it has no check, or was never started."""
        return self._store.get(id)

    def started(self, container: ContainerRecord) -> None:
        """The container has been started: its health begins anew."""
        check = health_check(container.config)
        if check is not None:
            health = self._store.begin(container.id)
            self._save(container)
            self._watch(container, check, health, self._pause_ns(container, check, health))

    def suspended(self, container: ContainerRecord) -> None:
        """The container has been paused: a probe could only wait for it."""
        self._cease(container)

    def resumed(self, container: ContainerRecord) -> None:
        """The container's processes go on."""
        check, health = health_check(container.config), self._store.get(container.id)
        if check is not None and health is not None:
            self._watch(container, check, health, self._pause_ns(container, check, health))

    def ended(self, container: ContainerRecord) -> None:
        """The container's process has ended."""
        self._cease(container)

    async def recovered(self, container: ContainerRecord, exec_ids: tuple[str, ...]) -> None:
        """The container ran on while shoald was away; `exec_ids` are those that run in it."""
        check = health_check(container.config)
        if check is None:
            return
        await self._prober.kill_left_over(container.id, exec_ids)
        health = self._store.get(container.id) or self._store.begin(container.id)
        if container.state.status == "paused":
            return
        if health.failing_streak >= check.retries:
            self._tell(container, health)  # what is to follow may not have been done
        last_ns = health.results[-1].ended_ns if health.results else container.state.started_at_ns
        due_ns = last_ns + self._pause_ns(container, check, health)
        self._watch(container, check, health, max(due_ns - self._clock(), 0))

    def close(self) -> None:
        """Looks after nobody any more: shoald leaves."""
        for id in tuple(self._watches):
            self._stop(id)

    def forget(self, id: str) -> None:
        """The container is gone."""
        self._stop(id)
        self._store.forget(id)

    def _cease(self, container: ContainerRecord) -> None:
        if self._stop(container.id):
            health = self._store.get(container.id)
            if health is not None:
                health.cease()
                self._save(container)

    def _stop(self, id: str) -> bool:
        watch = self._watches.pop(id, None)
        if watch is None:
            return False
        watch.stop()
        return True

    def _watch(self, container: ContainerRecord, check: HealthCheck, health: HealthRecord, pause_ns: int) -> None:
        self._stop(container.id)
        watch = self._watches[container.id] = _Watch(check)
        self._wait(container, watch, health, pause_ns)

    def _wait(self, container: ContainerRecord, watch: _Watch, health: HealthRecord, pause_ns: int) -> None:
        loop = asyncio.get_running_loop()
        watch.timer = loop.call_later(pause_ns / _NS, lambda: self._due(container, watch, health))

    def _due(self, container: ContainerRecord, watch: _Watch, health: HealthRecord) -> None:
        probing = self._probe(container, watch, health)
        watch.probing = self._background.spawn(probing, f"checking the health of container {container.name}")

    async def _probe(self, container: ContainerRecord, watch: _Watch, health: HealthRecord) -> None:
        await self._prober.probe(container, watch.check, lambda result: self._note(container, watch, health, result))
        watch.probing = None
        if self._watches.get(container.id) is watch:
            self._wait(container, watch, health, self._pause_ns(container, watch.check, health))

    def _pause_ns(self, container: ContainerRecord, check: HealthCheck, health: HealthRecord) -> int:
        up_ns = self._clock() - container.state.started_at_ns
        return check.pause_ns(starting=health.status == "starting", up_ns=up_ns)

    def _note(self, container: ContainerRecord, watch: _Watch, health: HealthRecord, result: ProbeResult) -> None:
        if self._watches.get(container.id) is not watch:
            return  # it has been stopped meanwhile
        changed = health.note(result, watch.check, container.state.started_at_ns)
        self._save(container)
        if changed:
            self._events.publish("container", f"health_status: {health.status}", container.id, container.attributes())
        if result.exit_code != 0 and health.failing_streak >= watch.check.retries:
            self._tell(container, health)

    def _tell(self, container: ContainerRecord, health: HealthRecord) -> None:
        if self._on_unhealthy is not None:
            self._on_unhealthy(container, health)

    def _save(self, container: ContainerRecord) -> None:
        """Writes the health, if the disk has room: the next result writes it too."""
        try:
            self._store.save(container.id)
        except ShoalError as problem:
            _log.error("cannot note the health of container %s: %s", container.name, problem)
