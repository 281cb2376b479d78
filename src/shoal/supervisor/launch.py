"""Brings one process to life: clone, plan, cgroup, barriers, execve. One object per start; runs in a supervisor.

    begin ─▶ child cloned, plan sent, `cloned` told, cgroup set up ─▶ waits ─┬─ "executing", end of channel ─▶ running
                                                                             ├─ "error", abort, child dies ──▶ failed
                                                                             └─ shoald lost, LIMIT_S over ───▶ failed

Whatever fails, the child is killed and reaped, its cgroup removed and its descriptors closed before the answer.
"""

from __future__ import annotations

import _socket
import errno
import os
import signal
import time

from shoal.errors import Conflict, Internal, ShoalError, SyscallError, Unavailable
from shoal.linux.namespaces import CLONE_NEWPID, setns
from shoal.linux.pidfd import pidfd_send_signal
from shoal.linux.procfs import start_time_ticks, unified_group
from shoal.supervisor.blanks import Child, clone_child
from shoal.supervisor.child import describe_error
from shoal.supervisor.entrance import open_entrances
from shoal.supervisor.loop import READABLE
from shoal.supervisor.process import RUNNING, Process
from shoal.supervisor.protocol import TAKEN_BACK, close_all, encode, receive, send_nowait
from shoal.supervisor.stdio import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from shoal.linux.cgroups import Cgroup
    from shoal.supervisor.loop import Timer
    from shoal.supervisor.protocol import Body, LaunchBody
    from shoal.supervisor.service import Service

# A start that takes longer waits for something that will not come.
LIMIT_S = 120.0


class Launch:
    """One start, from the request to its answer. `process` is in the table from the beginning."""

    __slots__ = (
        "_body", "_channel", "_executing", "_failure", "_request_id", "_service", "_spare_cgroup", "_timer",
        "_warnings", "process",
    )  # fmt: skip

    def __init__(self, service: Service, request_id: int, body: LaunchBody) -> None:
        self._service = service
        self._request_id = request_id
        self._body = body
        self._channel: _socket.socket | None = None
        self._executing = False
        self._failure: Body | None = None
        self._timer: Timer | None = None
        self._warnings: list[str] = []
        # The cgroup of a blank that got another one.
        self._spare_cgroup: Cgroup | None = None
        self.process = Process(body["id"], body["exec_id"], body["run_dir"], body["exit_file"])
        self.process.terminal = body["terminal"]

    def begin(self, fds: list[int]) -> None:
        """Does everything up to the waiting; takes the descriptors. Failures are answered, not raised."""
        ends: list[int] = []
        try:
            # Child and shoald get to work as early as possible: the rest here is done while they do theirs.
            ends = self._make_streams(fds)
            child = self._child(fds)
            self._send_plan(ends, fds)
            cloned = {"id": self.process.id, "exec_id": self.process.exec_id, "pid": child.pid}
            self._service.connection.event("cloned", cloned)
            self.process.start_ticks = start_time_ticks(child.pid)
            self._open_log()
            self._admit(child)
            if not self._body["wired"]:
                self._go("network")
        except Exception as error:  # noqa: BLE001  the edge of this process: everything is to be taken back
            self.fail(describe_error(error, "launch"))
        finally:
            close_all(ends)
            close_all(fds)

    def network_ready(self) -> None:
        """The network is wired: lets the child go on."""
        self._go("network")

    def abort(self) -> None:
        """Takes the start back, unless it has failed by itself already: the child's own word counts."""
        self._read_channel()
        self.fail(describe_error(Conflict(TAKEN_BACK), "abort"))

    def fail(self, failure: Body) -> None:
        """Takes everything back; the answer follows when the child is reaped. The first failure counts."""
        if self._failure is not None:
            return
        self._failure = failure
        if self.process.pidfd is None:
            self.child_ended(0, 0)
        else:
            pidfd_send_signal(self.process.pidfd, signal.SIGKILL)

    def child_ended(self, code: int, signal_number: int) -> bool:
        """The child was reaped: True when it had become the user's program before; else the start has failed."""
        self._read_channel()
        if self.process.state == RUNNING and self._failure is None:
            return True
        if self._failure is None:
            self._failure = describe_error(_death(code, signal_number), "launch")
        self._clean_up()
        self._service.connection.error(self._request_id, self._failure)
        self._service.launch_over(self, failed=True)
        return False

    # -- begin, part by part -------------------------------------------------------------------------------------

    def _make_streams(self, fds: list[int]) -> list[int]:
        body = self._body
        prefix = "" if body["exec_id"] is None else f"exec-{body['exec_id']}-"
        stdin_once = body["stdin_once"] or body["exec_id"] is not None
        os.makedirs(body["run_dir"], 0o700, exist_ok=True)
        listener = self._service.listener_for(self.process)
        streams = Streams(self._service.loop, body["run_dir"], prefix, listener, stdin_once=stdin_once)
        self.process.streams = streams
        for options in body["attach"]:
            # The sockets are taken out of `fds`, which are closed in the end.
            streams.add_client(options, os.dup(fds[options["fd"]]))
        if body["terminal"]:
            return []
        if body["exec_id"] is not None and not body["attach"] and not body["open_stdin"]:
            return streams.make_null()
        return streams.make_pipes(open_stdin=body["open_stdin"])

    def _open_log(self) -> None:
        if self._body["log"] is not None and self.process.streams is not None:
            self.process.streams.set_log(self._body["log"], terminal=self._body["terminal"])

    def _child(self, fds: list[int]) -> Child:
        child = self._new_child(fds)
        self.process.pid = child.pid
        self.process.pidfd = child.pidfd
        self._channel = child.channel
        self._service.loop.watch(child.channel.fileno(), READABLE, lambda _events: self._read_channel())
        self._service.reaper.watch(self.process)
        self._timer = self._service.loop.call_later(LIMIT_S, self._too_late)
        return child

    def _new_child(self, fds: list[int]) -> Child:
        body = self._body
        service = self._service
        if body["exec_id"] is not None:
            container = service.table.get(body["id"], None)
            if container.state != RUNNING or container.pidfd is None:
                raise Conflict(f"container {body['id']} is not running")
            self.process.cgroup = container.cgroup
            self.process.own_pid_namespace = container.own_pid_namespace
            return self._clone_beside(container, body["clone_flags"])
        pid_namespace = fds[body["joins"]["pid"]] if "pid" in body["joins"] else None
        self.process.own_pid_namespace = bool(body["clone_flags"] & CLONE_NEWPID)
        path = body["cgroup"]
        if path is None:
            return self._clone(body["clone_flags"], pid_namespace, None)
        blank = service.blanks.take(body, path) if pid_namespace is None else None
        if blank is not None:
            self.process.cgroup = blank.cgroup
            return blank
        if service.layout.version == "v2":
            self.process.cgroup = service.layout.create(path)
            self._apply_resources(self.process.cgroup)
        return self._clone(body["clone_flags"], pid_namespace, self.process.cgroup)

    def _clone(self, flags: int, pid_namespace: int | None, cgroup: Cgroup | None) -> Child:
        """A new child; in another pid namespace only its children would be, so the supervisor enters it meanwhile."""
        v2 = cgroup is not None and self._service.layout.version == "v2"
        directory = cgroup.directory_fd() if cgroup is not None and v2 else None
        if pid_namespace is not None:
            setns(pid_namespace, CLONE_NEWPID)
        try:
            return clone_child(flags, directory)
        finally:
            if pid_namespace is not None:
                setns(self._service.own_pid_namespace, CLONE_NEWPID)
            if directory is not None:
                directory.close()

    def _clone_beside(self, container: Process, flags: int) -> Child:
        """A child in the pid namespace and the cgroup of a running container.

        On version 2 a container that made groups in its own, and handed controllers down (a container engine, an
        init system), has no process in its own any more, and the kernel lets none in: then it is its init's.
        """
        assert container.pidfd is not None
        pid_namespace = container.pidfd.fileno()
        try:
            return self._clone(flags, pid_namespace, container.cgroup)
        except SyscallError as error:
            if error.errno not in (errno.EBUSY, errno.EOPNOTSUPP) or container.cgroup is None:
                raise
            group = unified_group(container.pid)
            if not group.startswith(f"{container.cgroup.path}/"):
                raise
            return self._clone(flags, pid_namespace, self._service.layout.open(group))

    def _send_plan(self, ends: list[int], fds: list[int]) -> None:
        assert self._channel is not None
        joins = [(kind, index) for kind, index in self._body["joins"].items() if kind != "pid"]
        plan: Body = {
            "steps": self._body["steps"],
            "stdio": [0, 1, 2] if ends else None,
            "joins": {kind: len(ends) + number for number, (kind, _) in enumerate(joins)},
        }
        send_nowait(self._channel, encode("plan", 0, plan), [*ends, *(fds[index] for _, index in joins)])

    def _admit(self, child: Child) -> None:
        """Lets the child into its cgroup, whose limits are set before; on v2 it was cloned into it."""
        entrances: list[int] = []
        path = self._body["cgroup"]
        if self._service.layout.version != "v2":
            entered = False
            if self.process.exec_id is None and path is not None:
                entered = self._arrange_cgroup(child, path)
            if self.process.cgroup is not None and not entered:
                entrances = open_entrances(self.process.cgroup, self._service.layout)
        try:
            self._go("cgroup", entrances)
        finally:
            close_all(entrances)

    def _arrange_cgroup(self, child: Child, path: str) -> bool:
        """Makes the container's cgroup with its limits; whether the child is in it: a blank whose own was renamed."""
        renamed = False
        if child.cgroup is not None:
            try:
                child.cgroup.rename(path)
                renamed = True
            except ShoalError:
                # One of that name is there, left over from a crash: `create` deals with it.
                self._spare_cgroup = child.cgroup
        if not renamed:
            self.process.cgroup = self._service.layout.create(path)
        if self.process.cgroup is not None:
            self._apply_resources(self.process.cgroup, child.devices if renamed else [])
        return renamed

    def _apply_resources(self, cgroup: Cgroup, devices: Sequence[Any] = ()) -> None:
        """Limits the cgroup; `devices` are the device rules that it has already."""
        resources = self._body["resources"]
        if devices and resources.get("devices") == devices:
            resources = {**resources, "devices": []}
        self._warnings.extend(cgroup.apply(resources))

    # -- while waiting -------------------------------------------------------------------------------------------

    def _go(self, barrier: str, fds: Sequence[int] = ()) -> None:
        if self._channel is not None:
            try:
                send_nowait(self._channel, encode("go", 0, {"barrier": barrier}), fds)
            except OSError:
                pass  # it has failed or died, and is heard of that way

    def _read_channel(self) -> None:
        """Takes everything that the child has said."""
        while self._channel is not None:
            try:
                message = receive(self._channel, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                message = None
            if message is None:
                self._close_channel()
                if self._executing and self._failure is None:
                    self._succeed()
                return
            self._heard(message[0], message[2], message[3])

    def _heard(self, kind: str, body: Body, fds: list[int]) -> None:
        if kind == "fd" and body["kind"] == "console" and self.process.streams is not None:
            self.process.streams.set_terminal(fds.pop(0))
            if self._body["rows"] and self._body["cols"]:
                self.process.streams.resize(self._body["rows"], self._body["cols"])
        elif kind == "warn":
            self._warnings.append(body["text"])
        elif kind == "executing":
            self._executing = True
        elif kind == "error":
            self.fail(body)
        close_all(fds)

    def _succeed(self) -> None:
        self._remove_spare()
        process = self.process
        assert process.streams is not None
        assert process.pidfd is not None
        process.state = RUNNING
        process.started_at_ns = time.time_ns()
        process.streams.start()
        handles, has_input = process.streams.handles()
        answer = {
            "has_input": has_input,
            "pid": process.pid,
            "start_ticks": process.start_ticks,
            "started_at_ns": process.started_at_ns,
            "warnings": self._warnings,
        }
        self._service.connection.reply(self._request_id, answer, [process.pidfd.fileno(), *handles])
        self._service.launch_over(self, failed=False)

    def _too_late(self) -> None:
        self.fail(describe_error(Unavailable("the start took too long", why=f"over {LIMIT_S:.0f} s"), "launch"))

    def _close_channel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._channel is not None:
            self._service.loop.unwatch(self._channel.fileno())
            self._channel.close()
            self._channel = None

    def _clean_up(self) -> None:
        process = self.process
        self._close_channel()
        if process.streams is not None:
            process.streams.discard()
        if process.pidfd is not None:
            process.pidfd.close()
            process.pidfd = None
        self._remove_spare()
        if process.exec_id is None:
            self._service.reaper.remove_cgroup(process)
        # That of an exec too: its container may have ended just now, and its directory have been made anew.
        self._service.reaper.remove_run_dir(process)

    def _remove_spare(self) -> None:
        if self._spare_cgroup is not None:
            self._service.reaper.remove(self._spare_cgroup)
            self._spare_cgroup = None


def _death(code: int, signal_number: int) -> ShoalError:
    if signal_number:
        why = f"killed by signal {signal_number}"
        return Internal("the container's first process died before its program ran", why=why)
    return Internal("the container's first process ended before its program ran", why=f"exit code {code}")
