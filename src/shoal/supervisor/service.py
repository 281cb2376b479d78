"""A supervisor as a whole: what shoald may ask, and what becomes of it. Runs in a supervisor.

It lives as long as it hosts something or shoald is connected: alone and empty, it ends.
"""

from __future__ import annotations

import os

from shoal.errors import Conflict, InvalidArgument, NotFound, ShoalError, Unavailable
from shoal.linux.cgroups import detect
from shoal.linux.fd import Fd
from shoal.linux.namespaces import namespace_fd
from shoal.linux.pidfd import pidfd_send_signal
from shoal.linux.procfs import start_time_ticks
from shoal.supervisor.blanks import Blanks
from shoal.supervisor.child import describe_error
from shoal.supervisor.connection import Connection
from shoal.supervisor.launch import Launch
from shoal.supervisor.process import EXITED, RUNNING, Process, Table
from shoal.supervisor.reaper import Reaper
from shoal.supervisor.stdio import Streams
from shoal.supervisor.strays import Strays

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import AdoptBody, Body

    # The body is the TypedDict of its kind (protocol.py), which the table of handlers cannot express.
    Handler = Callable[[int, Any, list[int]], None]


class Service:
    """Answers shoald's requests; everything that a supervisor owns hangs here."""

    __slots__ = (
        "_build", "_capacity", "_flushing", "_handlers", "_launches", "_shut_down", "_strays", "blanks", "connection",
        "layout", "loop", "own_pid_namespace", "reaper", "table",
    )  # fmt: skip

    def __init__(self, loop: Loop, listener: _socket.socket, build: str) -> None:
        self.loop = loop
        self.layout = detect()
        self.own_pid_namespace = namespace_fd("self", "pid")
        self.table = Table()
        self.reaper = Reaper(self)
        self.blanks = Blanks(loop, self.layout, self)
        self._launches: dict[Process, Launch] = {}
        self._flushing: set[Process] = set()
        self._shut_down = False
        self._capacity = 0
        self._build = build
        self._strays = Strays(loop, self)
        self.connection = Connection(loop, listener, self._request, self._shoald_lost)
        self._handlers: dict[str, Handler] = {
            "configure": self._configure,
            "launch": self._launch,
            "exec": self._launch,
            "network_ready": self._network_ready,
            "abort": self._abort,
            "attach": self._attach,
            "signal": self._signal,
            "resize": self._resize,
            "list": self._list,
            "adopt": self._adopt,
            "orphan_reaped": self._orphan_reaped,
            "forget": self._forget,
            "handles": self._handles,
            "shutdown": self._shutdown,
        }

    # -- told by the parts ---------------------------------------------------------------------------------------

    def log(self, level: str, text: str) -> None:
        """Has shoald log a line."""
        self.connection.event("log_record", {"level": level, "text": text})

    def vacancies(self) -> int:
        """How many more containers shoald will start here."""
        hosted = sum(1 for process in self.table if process.exec_id is None and process.state != EXITED)
        return max(self._capacity - hosted, 0)

    def blanks_changed(self, pids: list[int]) -> None:
        """shoald is to know the blanks: if this process is killed, it collects them."""
        self.connection.event("blanks", {"pids": pids})

    def listener_for(self, process: Process) -> StreamEvents:
        """Whom the streams of `process` tell."""
        return StreamEvents(self, process)

    def launch_of(self, process: Process) -> Launch | None:
        """The start that `process` is in, if it is."""
        return self._launches.get(process)

    def own_children(self) -> set[int]:
        """The children that are waited for, each by its owner."""
        return {process.pid for process in (*self.table, *self._launches)} | self.blanks.pids

    def may_have_strays(self) -> bool:
        """Whether a container is here whose first process does not inherit the others."""
        return any(process.state != EXITED and not process.own_pid_namespace for process in self.table)

    def launch_over(self, launch: Launch, *, failed: bool) -> None:
        """A start has been answered."""
        self._launches.pop(launch.process, None)
        if not launch.process.own_pid_namespace:
            self._strays.look()
        if failed:
            self.table.remove(launch.process)
            self._end_if_alone()

    def process_over(self, process: Process) -> None:
        """A process has ended and shoald was told."""
        if process.exec_id is not None and self.connection.connected:
            self.table.remove(process)
        if not process.own_pid_namespace:
            self._strays.look()
        self.blanks.refill_later()
        self._end_if_alone()

    def still_flushing(self, process: Process) -> None:
        """A process has ended whose clients have not got everything yet."""
        self._flushing.add(process)

    def flushed(self, process: Process) -> None:
        """They have."""
        self._flushing.discard(process)
        self._end_if_alone()

    # -- requests ------------------------------------------------------------------------------------------------

    def _request(self, kind: str, request_id: int, body: Body, fds: list[int]) -> None:
        handler = self._handlers.get(kind)
        if handler is None:
            raise InvalidArgument(f"unknown request {kind!r}")
        handler(request_id, body, fds)

    def _configure(self, request_id: int, body: Any, _fds: list[int]) -> None:
        self._capacity = body["capacity"]
        self.blanks.configure(body["blanks"], body["blank_flags"], body["cgroup_parent"])
        self.connection.reply(request_id, {"pid": os.getpid(), "build": self._build})

    def _launch(self, request_id: int, body: Any, fds: list[int]) -> None:
        launch = Launch(self, request_id, body)
        self.table.add(launch.process)
        self._launches[launch.process] = launch
        launch.begin(fds)

    def _network_ready(self, request_id: int, body: Any, _fds: list[int]) -> None:
        self._launching(body).network_ready()
        self.connection.reply(request_id, {})

    def _abort(self, request_id: int, body: Any, _fds: list[int]) -> None:
        self._launching(body).abort()
        self.connection.reply(request_id, {})

    def _attach(self, request_id: int, body: Any, fds: list[int]) -> None:
        process = self.table.get(body["id"], body["exec_id"])
        if process.streams is None:
            raise Conflict(f"container {body['id']} is not running")
        process.streams.add_client(body, fds.pop(body["fd"]))
        self.connection.reply(request_id, {})

    def _signal(self, request_id: int, body: Any, _fds: list[int]) -> None:
        process = self.table.get(body["id"], body["exec_id"])
        if process.pidfd is not None:
            pidfd_send_signal(process.pidfd, body["signal"])
        self.connection.reply(request_id, {})

    def _resize(self, request_id: int, body: Any, _fds: list[int]) -> None:
        process = self.table.get(body["id"], body["exec_id"])
        if process.streams is None or process.streams.master < 0:
            raise Conflict(f"container {body['id']} has no terminal")
        process.streams.resize(body["rows"], body["cols"])
        self.connection.reply(request_id, {})

    def _list(self, request_id: int, _body: Any, _fds: list[int]) -> None:
        self.connection.reply(request_id, {"processes": [process.to_wire() for process in self.table]})

    def _handles(self, request_id: int, body: Any, _fds: list[int]) -> None:
        """Duplicates for a shoald that came back: the pidfd, and what `Streams.handles` names."""
        process = self.table.get(body["id"], body["exec_id"])
        if process.pidfd is None or process.streams is None:
            raise Conflict(f"container {body['id']} is not running")
        handles, has_input = process.streams.handles()
        answer = {"pid": process.pid, "started_at_ns": process.started_at_ns, "has_input": has_input}
        self.connection.reply(request_id, answer, [process.pidfd.fileno(), *handles])

    def _adopt(self, request_id: int, body: AdoptBody, fds: list[int]) -> None:
        process = Process(body["id"], body["exec_id"], body["run_dir"], body["exit_file"])
        process.pid = body["pid"]
        process.started_at_ns = body["started_at_ns"]
        process.state = RUNNING
        process.orphan = True
        process.terminal = body["terminal"]
        process.own_pid_namespace = body["own_pid_namespace"]
        self.table.add(process)
        try:
            self._take_over(process, body, fds)
        except Exception:
            # Another supervisor will be asked: this one must not seem to host it.
            self.table.remove(process)
            raise
        self.connection.reply(request_id, {"pid": process.pid, "start_ticks": process.start_ticks})

    def _take_over(self, process: Process, body: AdoptBody, fds: list[int]) -> None:
        try:
            process.start_ticks = start_time_ticks(process.pid)
        except ShoalError:
            pass  # it has ended meanwhile; the pidfd tells
        process.pidfd = Fd(fds.pop(0))
        if body["cgroup"] is not None:
            process.cgroup = self.layout.open(body["cgroup"])
        prefix = "" if process.exec_id is None else f"exec-{process.exec_id}-"
        stdin_once = body["stdin_once"] or process.exec_id is not None
        listener = self.listener_for(process)
        streams = Streams(self.loop, process.run_dir, prefix, listener, stdin_once=stdin_once)
        process.streams = streams
        streams.reopen(fds.pop(0) if body["has_input"] else -1, terminal=process.terminal, log=body["log"])
        streams.start()
        self.reaper.watch(process)

    def _orphan_reaped(self, request_id: int, body: Any, _fds: list[int]) -> None:
        self.reaper.orphan_reaped(self.table.get(body["id"], body["exec_id"]), body["status"])
        self.connection.reply(request_id, {})

    def _forget(self, request_id: int, body: Any, _fds: list[int]) -> None:
        for process in self.table:
            if process.id == body["id"] and process.state == EXITED:
                self.table.remove(process)
        self.connection.reply(request_id, {})

    def _shutdown(self, request_id: int, _body: Any, _fds: list[int]) -> None:
        if self.table.busy:
            raise Conflict("the supervisor hosts containers")
        self.blanks.clear()
        self.connection.reply(request_id, {})
        self._shut_down = True
        self._end_if_alone()

    def _launching(self, body: Any) -> Launch:
        process = self.table.get(body["id"], body.get("exec_id"))
        launch = self._launches.get(process)
        if launch is None:
            raise NotFound(f"container {body['id']} is not starting")
        return launch

    # -- alone ---------------------------------------------------------------------------------------------------

    def _shoald_lost(self) -> None:
        gone = describe_error(Unavailable("shoald went away during the start"), "launch")
        for launch in tuple(self._launches.values()):
            launch.fail(gone)
        self._end_if_alone()

    def _end_if_alone(self) -> None:
        if self.table.busy or self._flushing:
            return
        if self._shut_down or not self.connection.connected:
            self.blanks.clear()
            self.loop.stop()


class StreamEvents:
    """Passes on what the streams of one process tell (stdio.Listener)."""

    __slots__ = ("_process", "_service")

    def __init__(self, service: Service, process: Process) -> None:
        self._service = service
        self._process = process

    def stdin_closed(self) -> None:
        """shoald is to close its duplicate as well, or the process would never see the end."""
        self._tell("stdin_closed")

    def detached(self) -> None:
        """A client detached itself."""
        self._tell("detached")

    def problem(self, text: str) -> None:
        """Something was lost."""
        self._service.log("warning", f"container {self._process.id}: {text}")

    def flushed(self) -> None:
        """A client that had output to get has it."""
        self._service.flushed(self._process)

    def _tell(self, kind: str) -> None:
        self._service.connection.event(kind, {"id": self._process.id, "exec_id": self._process.exec_id})
