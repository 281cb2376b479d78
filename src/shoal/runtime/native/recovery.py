"""Finds everything again after a restart of shoald. Runs once, on shoald's event loop.

For each container that is known to have run, the first of these that can tell:
1. a living supervisor hosts it: it goes on, and shoald gets its duplicates back; or it has ended meanwhile;
   A supervisor of another build, from before an upgrade, is then replaced: a new one adopts what it hosts;
2. its process lives but its supervisor does not: a new one adopts it (its stdin or terminal is lost with both);
3. its exit record says how it ended;
4. nobody knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.linux.pidfd import pidfd_open
from shoal.linux.procfs import process_exists
from shoal.runtime.driver import Exit, KnownContainer, Recovered
from shoal.runtime.native.cgroups import CgroupSweeper
from shoal.runtime.native.exit_record import read_exit_record
from shoal.runtime.native.hosted import Hosted, HostedTable
from shoal.runtime.native.pool import SupervisorPool
from shoal.runtime.native.succession import Succession
from shoal.runtime.native.supervisors import Supervisor
from shoal.runtime.native.wire import exit_from_wire

if TYPE_CHECKING:
    from shoal.supervisor.protocol import ProcessBody

_SIGKILL = 9


class Recovery:
    """One recovery."""

    def __init__(
        self, pool: SupervisorPool, hosted: HostedTable, succession: Succession, sweeper: CgroupSweeper
    ) -> None:
        self._pool = pool
        self._hosted = hosted
        self._succession = succession
        self._sweeper = sweeper
        self._asked: set[str] = set()
        self._ended: dict[str, Exit] = {}

    def takes(self, id: str, exec_id: str | None, exit: Exit) -> bool:
        """Whether an end that is told now belongs into the answer of `run`, instead of being told as an event."""
        if id not in self._asked:
            return False
        if exec_id is None:
            self._ended[id] = exit
        return True

    async def run(self, known: Sequence[KnownContainer]) -> list[Recovered]:
        """What became of each known container, in the same order. Raises: Internal when no supervisor comes up."""
        self._asked = {container.launch.id for container in known}
        try:
            return await self._run(known)
        finally:
            self._asked = set()

    async def _run(self, known: Sequence[KnownContainer]) -> list[Recovered]:
        found: dict[str, list[tuple[Supervisor, ProcessBody]]] = {}
        for supervisor in self._pool.spawner.existing():
            for process in await self._processes_of(supervisor):
                found.setdefault(process["id"], []).append((supervisor, process))
        recovered = [await self._recover(container, found.pop(container.launch.id, [])) for container in known]
        for strangers in found.values():
            await self._end_strangers(strangers)
        for supervisor in self._pool:
            if not self._pool.is_current(supervisor):
                await self._succession.replace(supervisor)
        wanted = {entry.id for entry in recovered if entry.pid is not None}
        pids = {supervisor.pid for supervisor in self._pool}
        await asyncio.to_thread(self._sweeper.remove_all_but, wanted, pids)
        await self._pool.ensure_one()
        # Nothing is awaited behind this: what ends later is told as an event.
        return [self._as_of_now(entry) for entry in recovered]

    def _as_of_now(self, entry: Recovered) -> Recovered:
        """The entry, or the end that came meanwhile."""
        exit = self._ended.get(entry.id)
        if exit is None:
            return entry
        hosted = self._hosted.remove(entry.id, None)
        if hosted is not None:
            hosted.close()
        return Recovered(entry.id, None, exit, note=entry.note)

    async def _processes_of(self, supervisor: Supervisor) -> list[ProcessBody]:
        """What a supervisor of an earlier shoald hosts; a dead one's directory is removed."""
        try:
            await self._pool.take_up(supervisor)
            supervisor.pidfd = pidfd_open(supervisor.pid)
        except (OSError, ShoalError):
            # Dead, or dying for want of work; or it hangs, and then two must not serve the same streams.
            await asyncio.to_thread(supervisor.end_recorded)
            supervisor.close()
            supervisor.remove_directory()
            return []
        answer = await supervisor.connected.request("list", {})
        processes: list[ProcessBody] = answer.body["processes"]
        return processes

    async def _recover(self, known: KnownContainer, found: list[tuple[Supervisor, ProcessBody]]) -> Recovered:
        id = known.launch.id
        for supervisor, process in found:
            if process["exec_id"] is None and process["pid"] == known.pid:
                return await self._rejoin(known, supervisor, process, found)
        if known.pid and known.start_ticks is not None and process_exists(known.pid, known.start_ticks):
            return await self._adopt(known)
        exit = read_exit_record(Path(known.launch.exit_file), not_before_ns=known.started_at_ns)
        if exit is not None:
            return Recovered(id, None, exit)
        unknown = Exit(255, known.started_at_ns, known=False)
        return Recovered(id, None, unknown, note="it ended, and nobody was there to see how")

    async def _rejoin(
        self,
        known: KnownContainer,
        supervisor: Supervisor,
        process: ProcessBody,
        found: list[tuple[Supervisor, ProcessBody]],
    ) -> Recovered:
        id = known.launch.id
        if process["exit"] is not None:
            await supervisor.connected.request("forget", {"id": id})
            return Recovered(id, None, exit_from_wire(process["exit"]))
        supervisor.containers.add(id)
        hosted = await self._take_handles(supervisor, process)
        hosted.launch = known.launch
        execs = []
        for other, entry in found:
            if entry["exec_id"] is not None and entry["exit"] is None:
                await self._take_handles(other, entry)
                execs.append(entry["exec_id"])
        return Recovered(id, hosted.pid, None, tuple(execs))

    async def _take_handles(self, supervisor: Supervisor, process: ProcessBody) -> Hosted:
        key = (process["id"], process["exec_id"])
        hosted = Hosted(supervisor, None, key=key)
        hosted.run_dir, hosted.terminal = process["run_dir"], process["terminal"]
        try:
            hosted.take(await supervisor.connected.request("handles", {"id": key[0], "exec_id": key[1]}))
        except ShoalError:
            pass  # it has just ended: its `exited` is on the way
        self._hosted.add(hosted)
        return hosted

    async def _adopt(self, known: KnownContainer) -> Recovered:
        launch = known.launch
        hosted = Hosted(Supervisor(0, Path()), launch)
        hosted.pid, hosted.started_at_ns = known.pid, known.started_at_ns
        hosted.pidfd = pidfd_open(known.pid)
        hosted.reopen_outputs()
        self._hosted.add(hosted)
        await self._succession.adopt(hosted)
        note = "its supervisor had died: another one has taken over"
        if launch.terminal or launch.open_stdin:
            note += "; its terminal or stdin is lost"
        return Recovered(launch.id, known.pid, None, note=note)

    async def _end_strangers(self, strangers: list[tuple[Supervisor, ProcessBody]]) -> None:
        """Ends containers that nobody knows: of a start that was interrupted before it was noted."""
        for supervisor, process in strangers:
            body = {"id": process["id"], "exec_id": process["exec_id"]}
            if process["exit"] is None:
                await supervisor.connected.request("signal", {**body, "signal": _SIGKILL})
            await supervisor.connected.request("forget", {"id": process["id"]})
