"""What happens when a supervisor dies: a successor adopts the processes that it left. Runs on shoald's event loop.

supervisor dies ─▶ its starting children and blanks are killed and collected, their cgroups removed
                ─▶ each container's, then each exec's descriptors go to a supervisor with room: `adopt`
                ─▶ shoald collects what ends (it is the subreaper) and tells the successor the code
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from shoal.errors import ShoalError, Unavailable
from shoal.runtime.native.cgroups import CgroupSweeper
from shoal.runtime.native.hosted import Hosted, HostedTable
from shoal.runtime.native.orphans import OrphanWatch
from shoal.runtime.native.pool import SupervisorPool
from shoal.runtime.native.supervisors import Supervisor
from shoal.runtime.native.wire import adopt_body

_READY_TIMEOUT_S = 15.0
_TRIES = 3


class Succession:
    """Finds a new supervisor for orphans."""

    def __init__(
        self,
        pool: SupervisorPool,
        hosted: HostedTable,
        sweeper: CgroupSweeper,
        log: Callable[[str, str], None],
    ) -> None:
        self._pool = pool
        self._hosted = hosted
        self._sweeper = sweeper
        self._log = log
        self._watch: OrphanWatch | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def supervisor_died(self, supervisor: Supervisor) -> None:
        """Takes its place: called when its connection broke."""
        left = self._hosted.of(supervisor)
        for hosted in left:
            hosted.ready.clear()
        self._pool.remove(supervisor)
        task = asyncio.ensure_future(self._succeed(supervisor, left))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def supervisor_of(self, hosted: Hosted) -> Supervisor:
        """Its supervisor, once it has one. Raises: Unavailable when no successor takes over."""
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await hosted.ready.wait()
        except TimeoutError:
            raise Unavailable(f"container {hosted.id} has no supervisor", why="it died, and none took over") from None
        return hosted.supervisor

    async def adopt(self, hosted: Hosted) -> None:
        """Gives one process to a supervisor with room. Raises: ShoalError."""
        body = adopt_body(hosted)
        supervisor = await self._pool.with_room(hosted.id)
        fds = [hosted.pidfd.fileno(), *([hosted.input.fileno()] if hosted.input is not None else [])]
        # Before it is asked: its events may come before its answer is read.
        hosted.supervisor = supervisor
        try:
            await supervisor.connected.request("adopt", {**body}, fds)
        except ShoalError:
            self._pool.give_back(supervisor, hosted.id)
            raise
        hosted.ready.set()
        self.collect(hosted)

    def collect(self, hosted: Hosted) -> None:
        """Collects it when it ends, if it has become our child, and tells its supervisor how."""
        if self._watch is None:
            self._watch = OrphanWatch()
        self._watch.watch(hosted.pidfd.dup(), lambda status: self._tell_status(hosted, status))

    async def close(self) -> None:
        """Finishes what has begun, if that does not take too long, and stops."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_READY_TIMEOUT_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._watch is not None:
            self._watch.close()

    async def _succeed(self, supervisor: Supervisor, left: list[Hosted]) -> None:
        if not await supervisor.wait_ended(_READY_TIMEOUT_S):
            # It has closed its connection, or it hangs: two must not serve the same streams.
            supervisor.kill()
        supervisor.reap()
        words = await asyncio.to_thread(supervisor.last_words)
        self._log("error", f"supervisor {supervisor.number} died{': ' + words if words else ''}")
        self._collect_children(supervisor)
        for hosted in left:
            await self._adopt_patiently(hosted)
        await asyncio.to_thread(self._sweeper.remove_blanks_of, supervisor.pid)
        supervisor.remove_directory()
        supervisor.close()

    def _collect_children(self, supervisor: Supervisor) -> None:
        if self._watch is None:
            self._watch = OrphanWatch()
        for pid in (*supervisor.blanks, *supervisor.starting.values()):
            self._watch.kill(pid)

    async def _adopt_patiently(self, hosted: Hosted) -> None:
        for left in range(_TRIES - 1, -1, -1):
            try:
                await self.adopt(hosted)
            except (ShoalError, OSError) as error:
                self._log("warning" if left else "error", f"container {hosted.id} has no supervisor: {error}")
            else:
                return

    def _tell_status(self, hosted: Hosted, status: int) -> None:
        body = {"id": hosted.id, "exec_id": hosted.exec_id, "status": status}
        with contextlib.suppress(ShoalError):  # its supervisor died too: the next one asks the kernel
            hosted.supervisor.connected.ask("orphan_reaped", body)
