"""What happens when a supervisor dies: a successor adopts the processes that it left. Runs on shoald's event loop.

supervisor dies ─▶ its starting children and blanks are killed and collected, their cgroups removed
                ─▶ each container's, then each exec's descriptors go to a supervisor with room: `adopt`
                ─▶ shoald collects what ends (it is the subreaper) and tells the successor the code
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from shoal.errors import ShoalError, Unavailable
from shoal.runtime.driver import Exit, Launch
from shoal.runtime.native.cgroups import CgroupSweeper
from shoal.runtime.native.exit_record import read_exit_record
from shoal.runtime.native.hosted import Hosted, HostedTable
from shoal.runtime.native.orphans import OrphanWatch
from shoal.runtime.native.pool import SupervisorPool
from shoal.runtime.native.supervisors import Supervisor
from shoal.runtime.native.wire import adopt_body

_READY_TIMEOUT_S = 15.0
# Between tries to find a new supervisor. In the end the next shoald does it.
_PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Succession:
    """Finds a new supervisor for orphans."""

    def __init__(
        self,
        pool: SupervisorPool,
        hosted: HostedTable,
        sweeper: CgroupSweeper,
        log: Callable[[str, str], None],
        tell_exit: Callable[[Hosted, Exit], None],
    ) -> None:
        self._pool = pool
        self._hosted = hosted
        self._sweeper = sweeper
        self._log = log
        self._tell_exit = tell_exit
        self._watch: OrphanWatch | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def supervisor_died(self, supervisor: Supervisor) -> None:
        """Takes its place: called when its connection broke."""
        task = asyncio.ensure_future(self._bury(supervisor, self._orphans_of(supervisor)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def replace(self, supervisor: Supervisor) -> None:
        """Ends a supervisor of another build, and gives what it hosts to one of this build.

        Its containers go on, as when it is killed: nothing is asked of it that its build might understand otherwise.
        """
        left = self._orphans_of(supervisor)
        supervisor.connected.close()
        supervisor.kill()
        self._log("info", f"supervisor {supervisor.number} is of another build: it is replaced")
        await self._succeed(supervisor, left)

    def _orphans_of(self, supervisor: Supervisor) -> list[Hosted]:
        """What a supervisor hosts that has gone, or is about to: whoever needs one of these waits from now on."""
        left = [hosted for hosted in self._hosted.of(supervisor) if hosted.ready.is_set()]
        for hosted in left:
            hosted.ready.clear()
        self._pool.remove(supervisor)
        return left

    async def supervisor_of(self, hosted: Hosted) -> Supervisor:
        """Its supervisor, once it has one. Raises: Unavailable when no successor takes over."""
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await hosted.ready.wait()
        except TimeoutError:
            raise Unavailable(f"container {hosted.id} has no supervisor", why="it died, and none took over") from None
        return hosted.supervisor

    async def adopt(self, hosted: Hosted) -> None:
        """Gives one process to a supervisor with room, and to another one when that dies, too. Raises: Unavailable."""
        hosted.ready.clear()
        self._collect(hosted)
        for pause_s in _PAUSES_S:
            try:
                await self._adopt_once(hosted)
            except (ShoalError, OSError) as error:
                self._log("warning", f"container {hosted.id} has no supervisor yet: {error}")
                await asyncio.sleep(pause_s)
            else:
                return
        self._log("error", f"container {hosted.id} has no supervisor: it runs, and nobody sees to it")
        raise Unavailable(f"container {hosted.id} has no supervisor", why="each one that was to take over died")

    async def _adopt_once(self, hosted: Hosted) -> None:
        supervisor = await self._pool.with_room(hosted.id)
        fds = [hosted.pidfd.fileno(), *([hosted.input.fileno()] if hosted.input is not None else [])]
        # Before it is asked: its events may come before its answer is read. While `ready` is unset its death is
        # dealt with here, and not by `supervisor_died`.
        hosted.supervisor = supervisor
        try:
            await supervisor.connected.request("adopt", {**adopt_body(hosted)}, fds)
        except ShoalError:
            self._pool.give_back(supervisor, hosted.id)
            raise
        hosted.ready.set()
        self._tell_status(hosted)

    def _collect(self, hosted: Hosted) -> None:
        """Collects it when it ends, if it has become our child, and has its supervisor told how."""
        if self._watch is None:
            self._watch = OrphanWatch()

        def reaped(status: int) -> None:
            hosted.wait_status = status
            self._tell_status(hosted)

        self._watch.watch(hosted.pidfd.dup(), reaped)

    async def close(self) -> None:
        """Finishes what has begun, if that does not take too long, and stops."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_READY_TIMEOUT_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._watch is not None:
            self._watch.close()

    async def _bury(self, supervisor: Supervisor, left: list[Hosted]) -> None:
        if not await supervisor.wait_ended(_READY_TIMEOUT_S):
            # It has closed its connection, or it hangs: two must not serve the same streams.
            supervisor.kill()
        words = await asyncio.to_thread(supervisor.last_words)
        self._log("error", f"supervisor {supervisor.number} died{': ' + words if words else ''}")
        await self._succeed(supervisor, left)

    async def _succeed(self, supervisor: Supervisor, left: list[Hosted]) -> None:
        await supervisor.wait_ended(_READY_TIMEOUT_S)
        if supervisor.starts:
            # Each fails, and its child is among those to be killed; or it had been answered, and what runs is to live.
            await asyncio.wait(tuple(supervisor.starts), timeout=_READY_TIMEOUT_S)
        supervisor.reap()
        self._collect_children(supervisor)
        for hosted in (*left, *supervisor.late):
            exit = await asyncio.to_thread(_recorded_exit, hosted)
            if exit is not None:
                await self._finish(hosted, exit)
            else:
                with contextlib.suppress(Unavailable):  # logged
                    await self.adopt(hosted)
        await asyncio.to_thread(self._sweeper.remove_blanks_of, supervisor.pid)
        supervisor.remove_directory()
        supervisor.close()

    async def _finish(self, hosted: Hosted, exit: Exit) -> None:
        """The dead supervisor had dealt with the container's end, all but telling of it."""
        if isinstance(hosted.launch, Launch):
            await asyncio.to_thread(self._sweeper.end, hosted.launch.cgroup_path)
            await asyncio.to_thread(shutil.rmtree, hosted.run_dir, ignore_errors=True)
        hosted.ready.set()
        self._tell_exit(hosted, exit)

    def _collect_children(self, supervisor: Supervisor) -> None:
        if self._watch is None:
            self._watch = OrphanWatch()
        for pid in (*supervisor.blanks, *supervisor.starting.values()):
            self._watch.kill(pid)

    def _tell_status(self, hosted: Hosted) -> None:
        if hosted.wait_status is None or not hosted.ready.is_set():
            return
        body = {"id": hosted.id, "exec_id": hosted.exec_id, "status": hosted.wait_status}
        with contextlib.suppress(ShoalError):  # its supervisor died too: the next one is told
            hosted.supervisor.connected.ask("orphan_reaped", body)


def _recorded_exit(hosted: Hosted) -> Exit | None:
    """How a container ended, if its supervisor recorded that before it died."""
    if not isinstance(hosted.launch, Launch):
        return None
    return read_exit_record(Path(hosted.launch.exit_file), not_before_ns=hosted.started_at_ns)
