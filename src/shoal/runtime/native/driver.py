"""Runs containers with namespaces and cgroups, through supervisors. Implements runtime.driver.RuntimeDriver in shoald.

    start ─▶ compile the plan ─▶ pick a supervisor with room ─▶ `launch` ─▶ pid: wire the network ─▶ running
                                                                             keep pidfd, stdin or pty master

shoald keeps a duplicate of what a process would lose with its supervisor. When a supervisor dies, a new one adopts
the processes that it left (see succession.py); when shoald was away, it finds everything again (see recovery.py).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING

from shoal.errors import Conflict, NotFound, ShoalError, Unavailable
from shoal.linux.cgroups import Layout, detect
from shoal.linux.fd import Fd
from shoal.linux.prctl import set_child_subreaper
from shoal.linux.processes import Process
from shoal.runtime.compile import compile_exec, compile_plan
from shoal.runtime.driver import (
    AttachOptions,
    ExecLaunch,
    Exit,
    KnownContainer,
    Launch,
    OnDetach,
    OnExecExit,
    OnExit,
    OnLog,
    Recovered,
    Started,
    StreamTarget,
    Wire,
)
from shoal.runtime.native.cgroups import CgroupSweeper
from shoal.runtime.native.hosted import Hosted, HostedTable, Key
from shoal.runtime.native.link import Answer
from shoal.runtime.native.pool import SupervisorPool
from shoal.runtime.native.recovery import Recovery
from shoal.runtime.native.succession import Succession
from shoal.runtime.native.supervisors import Supervisor
from shoal.runtime.native.wire import (
    Request,
    attach_body,
    close_clients,
    exec_request,
    exit_from_wire,
    launch_request,
)
from shoal.runtime.vm.door import ask_machine
from shoal.runtime.vm.plans import compile_machine_exec
from shoal.runtime.vm.record import completed
from shoal.supervisor.machine.signals import OF_MONITOR
from shoal.supervisor.protocol import TAKEN_BACK

if TYPE_CHECKING:
    from shoal.runtime.compile.plan import HostFacts, Plan
    from shoal.runtime.vm.machines import Machines
    from shoal.supervisor.protocol import Body

_logger = logging.getLogger(__name__)
_ABORT_TIMEOUT_S = 10.0
# How many ended processes are still known as such, for requests that were under way.
_REMEMBERED_ENDS = 256
# Longer than the supervisor's own limit for a start (supervisor/launch.py), so that its answer is the one heard.
_START_TIMEOUT_S = 150.0


class NativeDriver:
    """The driver for containers, and for the monitors of machines.

    `exec_root` is EXEC_ROOT; `machines` makes the plans of those that run in a machine of their own, whose monitors are
    containers like others here; `cgroup_parent` ("/shoal") holds all containers' cgroups; `per_supervisor` bounds what
    one crash of a supervisor touches; `blanks` is the number of children that each keeps ready on cgroup v1.
    """

    def __init__(
        self,
        exec_root: Path,
        facts: HostFacts,
        *,
        layout: Layout | None = None,
        cgroup_parent: str = "/shoal",
        per_supervisor: int = 32,
        blanks: int = 1,
        machines: Machines | None = None,
    ) -> None:
        self._facts = facts
        self._machines = machines
        self._hosted = HostedTable()
        self._starting: dict[Key, asyncio.Future[int]] = {}
        self._ended_early: set[Key] = set()
        self._just_ended: deque[Key] = deque(maxlen=_REMEMBERED_ENDS)
        self._pool = SupervisorPool(
            exec_root / "supervisors", cgroup_parent, per_supervisor, blanks, self._on_event, self._supervisor_lost
        )
        self._sweeper = CgroupSweeper(layout or detect(), cgroup_parent)
        self._succession = Succession(self._pool, self._hosted, self._sweeper, self._log, self._ended_untold)
        self._recovery = Recovery(self._pool, self._hosted, self._succession, self._sweeper)
        self._on_exit: OnExit | None = None
        self._on_exec_exit: OnExecExit | None = None
        self._on_detach: OnDetach | None = None
        self._on_log: OnLog | None = None
        # Orphans of a dead supervisor become children of shoald, which can then collect their exit codes.
        set_child_subreaper()

    def subscribe(self, on_exit: OnExit, on_exec_exit: OnExecExit, on_detach: OnDetach, on_log: OnLog) -> None:
        """Sets whom to tell."""
        self._on_exit, self._on_exec_exit, self._on_detach, self._on_log = on_exit, on_exec_exit, on_detach, on_log

    async def start(self, launch: Launch, wire: Wire | None) -> Started:
        """The container's first process, running. Raises: as RuntimeDriver.start."""
        try:
            plan = await self._plan(launch)
            _show(f"container {launch.id}", plan)
            supervisor = await self._pool.with_room(launch.id)
            request = launch_request(launch, plan, wired=wire is not None)
        except BaseException:
            close_clients(launch.clients)
            raise
        try:
            return await self._begin(supervisor, launch, request, wire)
        except BaseException:
            self._pool.give_back(supervisor, launch.id)
            if supervisor.connected.closed:
                # It died during the start, and could take nothing back.
                await asyncio.to_thread(self._remove_traces, launch)
            raise

    async def exec(self, request: ExecLaunch) -> Started:
        """The additional process, running. Raises: as RuntimeDriver.exec."""
        try:
            container = self._hosted.find(request.id, None)
            if container is None:
                raise Conflict(f"container {request.id} is not running")
            supervisor = await self._succession.supervisor_of(container)
            if self._hosted.find(request.id, None) is not container:
                # It ended while it had no supervisor, and was waited for.
                raise Conflict(f"container {request.id} is not running")
            compile = compile_machine_exec if request.in_machine else compile_exec
            plan = compile(request, self._facts)
            _show(f"exec {request.exec_id} in container {request.id}", plan)
            message = exec_request(request, plan, container.pidfd)
        except BaseException:
            close_clients(request.clients)
            raise
        return await self._begin(supervisor, request, message, None)

    async def attach(self, target: StreamTarget, options: AttachOptions, client: Fd, early: bytes) -> None:
        """Hands the client's socket over; closes it where the process has just ended. Raises: NotFound."""
        with client:
            hosted = self._find(target.id, target.exec_id)
            if hosted is None:
                return
            supervisor = await self._succession.supervisor_of(hosted)
            if self._find(target.id, target.exec_id) is not hosted:
                return  # it ended while it had no supervisor
            body = attach_body(target.id, target.exec_id, options, early, 0)
            await supervisor.connected.request("attach", {**body}, [client.fileno()])

    async def signal(self, id: str, exec_id: str | None, signal: int, *, group: bool = False) -> None:
        """Sends a signal; a process that has just ended does not get it. Raises: NotFound."""
        hosted = self._find(id, exec_id)
        if hosted is None:
            return
        if signal in OF_MONITOR and hosted.in_machine:
            body = {"exec_id": exec_id, "signal": int(signal)}
            await asyncio.to_thread(ask_machine, hosted.pid, "signal", body)
            return
        hosted.send_signal(signal, group=group)

    async def machine_processes(self, id: str) -> list[Process]:
        """The processes of a container in a machine. Raises: NotFound, Conflict."""
        hosted = self._find(id, None)
        if hosted is None:
            raise Conflict(f"container {id} is not running")
        answer = await asyncio.to_thread(ask_machine, hosted.pid, "processes", {})
        return [Process.from_wire(one) for one in answer["processes"]]

    async def resize(self, id: str, exec_id: str | None, rows: int, columns: int) -> None:
        """Gives the terminal a size. Raises: NotFound; Conflict when there is no terminal."""
        hosted = self._find(id, exec_id)
        if hosted is None:
            return
        supervisor = await self._succession.supervisor_of(hosted)
        if self._find(id, exec_id) is not hosted:
            return  # it ended while it had no supervisor
        body = {"id": id, "exec_id": exec_id, "rows": rows, "cols": columns}
        await supervisor.connected.request("resize", body)

    async def recover(self, known: Sequence[KnownContainer]) -> list[Recovered]:
        """What became of each known container, in the same order."""
        return await self._recovery.run(known)

    async def close(self) -> None:
        """Lets go of everything; supervisors that host nothing end."""
        await self._succession.close()
        await self._pool.close()
        self._hosted.close()
        await asyncio.to_thread(self._sweeper.remove_parent)

    def _remove_traces(self, launch: Launch) -> None:
        self._sweeper.end(launch.cgroup_path)
        shutil.rmtree(launch.run_dir, ignore_errors=True)

    async def _plan(self, launch: Launch) -> Plan:
        if launch.machine is None:
            return compile_plan(launch, self._facts)
        if self._machines is None:
            raise Unavailable("this runtime has no virtual machines")
        return await self._machines.plan(launch, self._facts)

    # -- starting ------------------------------------------------------------------------------------------------

    async def _begin(
        self, supervisor: Supervisor, launch: Launch | ExecLaunch, request: Request, wire: Wire | None
    ) -> Started:
        """Sends the request and sees it through: the process runs, or nothing of it is left."""
        id, exec_id = request.body["id"], request.body["exec_id"]
        loop = asyncio.get_running_loop()
        cloned: asyncio.Future[int] = loop.create_future()
        seen_through: asyncio.Future[None] = loop.create_future()
        supervisor.starts.add(seen_through)
        self._starting[id, exec_id] = cloned
        self._hosted.expect((id, exec_id))
        try:
            with request:
                kind = "launch" if exec_id is None else "exec"
                numbers = [fd.fileno() for fd in request.fds]
                answering = supervisor.connected.ask(kind, {**request.body}, numbers)
            try:
                if wire is not None:
                    await asyncio.wait((answering, cloned), return_when=asyncio.FIRST_COMPLETED)
                    if cloned.done() and not answering.done():
                        await wire(cloned.result())
                        # Its answer is not awaited: that of the launch says all.
                        supervisor.connected.ask("network_ready", {"id": id})
                await asyncio.wait((answering,), timeout=_START_TIMEOUT_S)
            except BaseException as failure:
                await self._take_back(supervisor, id, exec_id, answering)
                # A step that failed ended the child, and with it the namespace that was being wired: its reason
                # is the cause, and the wiring's only what came of it.
                if isinstance(failure, ShoalError) and (cause := _failure_of(answering)) is not None:
                    raise cause from None
                raise
            if not answering.done():
                raise Unavailable("the supervisor does not answer", why=f"over {_START_TIMEOUT_S:.0f} s")
            return self._keep(Hosted(supervisor, launch), answering.result())
        finally:
            del self._starting[id, exec_id]
            if not supervisor.connected.closed:
                # Else it is needed to end the process, which may have begun to run (see succession.py).
                supervisor.starting.pop((id, exec_id), None)
            self._ended_early.discard((id, exec_id))
            supervisor.starts.discard(seen_through)
            seen_through.set_result(None)

    async def _take_back(
        self, supervisor: Supervisor, id: str, exec_id: str | None, answering: asyncio.Future[Answer]
    ) -> None:
        """Ends a start whose wiring failed or that was cancelled, and waits until nothing of it is left."""
        try:
            if not answering.done():
                supervisor.connected.ask("abort", {"id": id, "exec_id": exec_id})
                await asyncio.wait((answering,), timeout=_ABORT_TIMEOUT_S)
            if answering.done() and answering.exception() is None:
                # It had begun to run before the abort came.
                unwanted = Hosted(supervisor, None)
                unwanted.take(answering.result())
                unwanted.send_signal(SIGKILL)
                unwanted.close()
        except ShoalError:
            pass  # the supervisor has gone, and its starting children with it

    def _keep(self, hosted: Hosted, answer: Answer) -> Started:
        hosted.take(answer)
        supervisor = hosted.supervisor
        supervisor.starting.pop(hosted.key, None)
        if hosted.key in self._ended_early:
            hosted.close()
        else:
            self._hosted.add(hosted)
            if supervisor.connected.closed:
                # It died behind its answer. What it leaves has been counted, without this one.
                hosted.ready.clear()
                supervisor.late.append(hosted)
        return Started(hosted.pid, hosted.started_at_ns, tuple(answer.body["warnings"]))

    def _find(self, id: str, exec_id: str | None) -> Hosted | None:
        """The running process, or None where it has just ended, of which whoever asks has not heard yet.

        Raises: NotFound.
        """
        hosted = self._hosted.find(id, exec_id)
        if hosted is None and (id, exec_id) not in self._just_ended:
            raise NotFound(f"No such exec instance: {exec_id}" if exec_id else f"No such container: {id}")
        return hosted

    # -- what supervisors tell -----------------------------------------------------------------------------------

    def _on_event(self, supervisor: Supervisor, kind: str, body: Body) -> None:
        if kind == "log_record":
            self._log(body["level"], body["text"])
        elif kind == "blanks":
            supervisor.blanks = body["pids"]
        elif kind == "cloned":
            self._cloned(supervisor, (body["id"], body["exec_id"]), body["pid"])
        elif kind == "exited":
            self._exited(supervisor, body)
        elif kind == "detached" and self._on_detach is not None:
            self._on_detach(body["id"], body["exec_id"])
        elif kind == "stdin_closed":
            self._hosted.input_closed((body["id"], body["exec_id"]))

    def _cloned(self, supervisor: Supervisor, key: Key, pid: int) -> None:
        waiting = self._starting.get(key)
        if waiting is not None and not waiting.done():
            supervisor.starting[key] = pid
            waiting.set_result(pid)

    def _exited(self, supervisor: Supervisor, body: Body) -> None:
        id, exec_id = body["id"], body["exec_id"]
        hosted = self._hosted.remove(id, exec_id)
        if hosted is not None:
            hosted.close()
        elif (id, exec_id) in self._starting:
            # Its start has been answered, and the answer not yet been taken up.
            self._ended_early.add((id, exec_id))
        self._just_ended.append((id, exec_id))
        exit = exit_from_wire(body)
        if hosted is not None and hosted.in_machine and isinstance(hosted.launch, Launch):
            exit = completed(exit, hosted.launch.exit_file)
        if exec_id is None:
            if supervisor.link is not None and not supervisor.link.closed:
                supervisor.link.ask("forget", {"id": id})
            self._pool.give_back(supervisor, id)
        if self._recovery.takes(id, exec_id, exit):
            return
        if exec_id is not None and self._on_exec_exit is not None:
            self._on_exec_exit(id, exec_id, exit)
        elif exec_id is None and self._on_exit is not None:
            self._on_exit(id, exit)

    def _ended_untold(self, hosted: Hosted, exit: Exit) -> None:
        """A container's end, found in its record, of which its supervisor could not tell any more."""
        self._hosted.remove(*hosted.key)
        hosted.close()
        self._just_ended.append(hosted.key)
        if not self._recovery.takes(hosted.id, None, exit) and self._on_exit is not None:
            self._on_exit(hosted.id, exit)

    def _supervisor_lost(self, supervisor: Supervisor) -> None:
        self._succession.supervisor_died(supervisor)

    def _log(self, level: str, text: str) -> None:
        if self._on_log is not None:
            self._on_log(level, text)


def _failure_of(answering: asyncio.Future[Answer]) -> BaseException | None:
    """Why a start failed by itself, None when it did not, or only because it was taken back."""
    if not answering.done() or answering.cancelled():
        return None
    failure = answering.exception()
    return None if isinstance(failure, Conflict) and failure.what == TAKEN_BACK else failure


def _show(what: str, plan: Plan) -> None:
    """Logs a plan, a line a step, for who wants to see what is done to a container (`shoald --debug`)."""
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug("%s:\n%s", what, "\n".join(f"    {line}" for line in plan.describe()))
