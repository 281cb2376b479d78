"""Signals to containers, and the ways to bring one to an end (Docker API v1.50 ContainerStop, ContainerKill)."""

from __future__ import annotations

import asyncio
import signal as signals
import time

from shoal.api.signals import parse_signal
from shoal.engine.clock import Clock
from shoal.engine.container.exits import Ask, AskedBy
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.events import EventLog
from shoal.errors import Conflict, Internal, NotModified
from shoal.runtime.driver import RuntimeDriver

DEFAULT_TIMEOUT_S = 10
_KILL_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.1


class Stopper:
    """Ends containers. Waits for no lock while there is a process to signal."""

    def __init__(
        self,
        registry: ContainerRegistry,
        driver: RuntimeDriver,
        freezer: Freezer,
        waiters: Waiters,
        locks: ContainerLocks,
        events: EventLog,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._freezer = freezer
        self._waiters = waiters
        self._locks = locks
        self._events = events
        self._clock = clock

    async def stop(
        self,
        record: ContainerRecord,
        signal: str | None,
        timeout_s: int | None,
        *,
        by: AskedBy = "stop",
        by_user: bool = True,
        restarts: bool = False,
    ) -> None:
        """Asks the container to end, and kills it when it has not done so in time.

        `timeout_s`: None takes the container's own (10 s without one), a negative one waits for ever. A daemon that
        stops containers because it leaves itself does so not `by_user`: policies start them when it comes back. One
        that `restarts` is started again with the next back-off, whatever its policy says.

        Raises: NotModified when it does not run; InvalidArgument for an unknown signal.
        """
        number = parse_signal(signal or record.config.stop_signal or "SIGTERM")
        if await self._give_up(record):
            self._events.publish("container", "stop", record.id, record.attributes())
            return
        if not record.is_running:
            raise NotModified(f"container {record.id} is not running")
        if timeout_s is None:
            timeout_s = DEFAULT_TIMEOUT_S if record.config.stop_timeout is None else record.config.stop_timeout
        record.state.stopped_by_user = record.state.stopped_by_user or by_user
        ask = Ask(by=by, signal=number, at_ns=self._clock(), timeout_s=timeout_s, restarts=restarts)
        self._note(record, ask)
        ended = self._waiters.wait(record.id, "not-running")
        await self._send(record, number)
        await self._thaw(record)  # else it could not act on the signal
        try:
            await asyncio.wait_for(asyncio.shield(ended), None if timeout_s < 0 else timeout_s)
        except TimeoutError:
            ask.killed = True
            self._note(record, ask)
            await self._send(record, signals.SIGKILL)
            await self._wait_killed(record, ended)
        self._events.publish("container", "stop", record.id, record.attributes())

    async def kill(
        self, record: ContainerRecord, signal: str | None, *, by: AskedBy = "kill", by_user: bool = True
    ) -> None:
        """Sends a signal, SIGKILL unless another is named; after SIGKILL, returns when the container has ended.

        Where it is done `by_user`, its restart policy lets it be.

        Raises: Conflict, in Docker's words, when it does not run; InvalidArgument for an unknown signal.
        """
        number = parse_signal(signal or "SIGKILL")
        if await self._give_up(record):
            return
        if not record.is_running:
            raise Conflict(f"container {record.id} is not running")
        if by_user and number in (signals.SIGKILL, parse_signal(record.config.stop_signal or "SIGTERM")):
            record.state.stopped_by_user = True
        self._note(record, Ask(by=by, signal=number, at_ns=self._clock()))
        ended = self._waiters.wait(record.id, "not-running")
        await self._send(record, number)
        if number == signals.SIGKILL:
            await self._wait_killed(record, ended)
        else:
            ended.cancel()

    async def _send(self, record: ContainerRecord, number: int) -> None:
        self._events.publish("container", "kill", record.id, {**record.attributes(), "signal": str(number)})
        await self._driver.signal(record.id, None, number)
        if number == signals.SIGKILL:
            await self._thaw(record)  # on cgroup v1 a frozen process does not even die

    async def _thaw(self, record: ContainerRecord) -> None:
        """Lets a paused container go on. Raises: SyscallError."""
        if record.state.status == "paused":
            try:
                await self._freezer.unpause(record)
            except Conflict:
                pass  # somebody else did, or it has ended

    async def _give_up(self, record: ContainerRecord) -> bool:
        """Whether the container waited for its restart policy, which has been told now to leave it alone."""
        if not record.is_restarting:
            return False
        record.state.stopped_by_user = True
        async with self._locks.hold(record.id):
            if record.state.status != "restarting":
                return False  # the policy was quicker: there is a process to end
            record.move("give_up")
            self._registry.save(record)
        self._waiters.exited(record.id, Ending(record.state.exit_code, record.state.error))
        return True

    async def _wait_killed(self, record: ContainerRecord, ended: asyncio.Future[Ending]) -> None:
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        while time.monotonic() < deadline:
            await asyncio.wait((ended,), timeout=_LOOK_AGAIN_S)
            if ended.done():
                return
            await self._thaw(record)  # a pause that was under way when the signal came has frozen it since
        ended.cancel()
        raise Internal(
            f"container {record.name} did not end {_KILL_TIMEOUT_S:.0f} s after SIGKILL",
            why="its process is stuck in the kernel (state D), waiting for a device or a file server",
            fix=f"see `cat /proc/{record.state.pid}/stack`",
        )

    def _note(self, record: ContainerRecord, ask: Ask) -> None:
        """Keeps who asks, before the signal is sent: whatever is killed in between, its end is told rightly."""
        record.state.asked = ask
        self._registry.save(record)
