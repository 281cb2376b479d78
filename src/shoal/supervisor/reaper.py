"""What happens when a process ends: reap, drain, record, tell, clean up; runs in a supervisor.

The order is the promise: all output is in the log, and the exit record is on disk, before shoald hears of the end; and
shoald hears of it before the clients' streams end, because a client then asks for the exit code.
"""

from __future__ import annotations

import os
import signal
import time

from shoal.errors import ShoalError
from shoal.linux.pidfd import exit_status
from shoal.linux.procfs import zombie_exit_status
from shoal.supervisor.leftovers import Leftovers
from shoal.supervisor.loop import READABLE
from shoal.supervisor.process import EXITED, RUNNING
from shoal.supervisor.timestamps import rfc3339_nano

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups import Cgroup
    from shoal.supervisor.process import Process
    from shoal.supervisor.protocol import ExitBody
    from shoal.supervisor.service import Service

# An orphan is reaped by shoald (a subreaper) or by init. Its exit status can be read from /proc before that, and
# through its pidfd (from Linux 6.15 on) after it.
_ORPHAN_PATIENCE_S = 3.0
_ORPHAN_RETRY_S = 0.02
_CGROUP_RETRY_S = 0.02
_CGROUP_RETRIES = 250


class Reaper:
    """Watches the pidfds of all processes."""

    __slots__ = ("_leftovers", "_service")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._leftovers = Leftovers(service.loop)

    def watch(self, process: Process) -> None:
        """Sees to the end of a process, whenever it comes."""
        assert process.pidfd is not None
        self._service.loop.watch(process.pidfd.fileno(), READABLE, lambda _events: self._ended(process))

    def orphan_reaped(self, process: Process, status: int | None) -> None:
        """shoald has reaped a process that a dead supervisor had left; `status` is as waitpid tells it."""
        if process.state == RUNNING:
            self._finish(process, *_decoded(status))

    def remove_cgroup(self, process: Process) -> None:
        """Removes the container's cgroup, once everything in it is gone; nothing waits for that."""
        if process.cgroup is not None:
            cgroup, process.cgroup = process.cgroup, None
            self.remove(cgroup)

    def remove(self, cgroup: Cgroup) -> None:
        """Removes a cgroup in which nothing is wanted any more."""
        self._try_remove(cgroup, _CGROUP_RETRIES)

    def remove_run_dir(self, process: Process) -> None:
        """Removes the directory of the FIFOs, if nothing else is in it."""
        try:
            os.rmdir(process.run_dir)
        except OSError:
            pass  # shared with others, or gone

    def _ended(self, process: Process) -> None:
        assert process.pidfd is not None
        if process.orphan:
            self._orphan_ended(process, time.monotonic() + _ORPHAN_PATIENCE_S)
            return
        result = os.waitid(os.P_PIDFD, process.pidfd.fileno(), os.WEXITED | os.WNOHANG)
        if result is None:
            return
        self._service.loop.unwatch(process.pidfd.fileno())
        exited = result.si_code == os.CLD_EXITED
        code, signal_number = (result.si_status, 0) if exited else (128 + result.si_status, result.si_status)
        launch = self._service.launch_of(process)
        if launch is None or launch.child_ended(code, signal_number):
            self._finish(process, code, signal_number, known=True)

    def _orphan_ended(self, process: Process, deadline: float) -> None:
        """Its status is the kernel's to tell, before and after whoever is its parent now has reaped it."""
        if process.pidfd is None or process.state != RUNNING:
            return
        self._service.loop.unwatch(process.pidfd.fileno())
        status = exit_status(process.pidfd)
        if status is None:
            status = zombie_exit_status(process.pid, process.start_ticks)
        if status is None and time.monotonic() < deadline:
            self._service.loop.call_later(_ORPHAN_RETRY_S, lambda: self._orphan_ended(process, deadline))
            return
        self._finish(process, *_decoded(status))

    def _finish(self, process: Process, code: int, signal_number: int, known: bool) -> None:
        finished_at_ns = time.time_ns()
        if process.exec_id is None and not process.own_pid_namespace and process.cgroup is not None:
            # In its own pid namespace the kernel has ended the others; here they may still write.
            self._kill(process.cgroup)
        oom = self._oom_killed(process)
        if process.streams is not None:
            process.streams.finish(self._leftovers if process.exec_id is not None else None)
        process.exit = {
            "code": code, "signal": signal_number, "oom": oom, "finished_at_ns": finished_at_ns, "known": known
        }  # fmt: skip
        process.state = EXITED
        if process.exec_id is None:
            self._write_record(process, process.exit)
            # Before it is told: if this process is killed in between, a successor does the rest.
            self.remove_cgroup(process)
        # Behind an exec too, which may have outlived its container by a moment.
        self.remove_run_dir(process)
        self._service.connection.event("exited", {"id": process.id, "exec_id": process.exec_id, **process.exit})
        if process.streams is not None:
            process.streams.end_clients()
            if process.streams.is_flushing:
                self._service.still_flushing(process)
            process.streams = None
        if process.pidfd is not None:
            self._service.loop.unwatch(process.pidfd.fileno())
            process.pidfd.close()
            process.pidfd = None
        self._service.process_over(process)

    def _oom_killed(self, process: Process) -> bool:
        if process.exec_id is not None or process.cgroup is None:
            return False
        try:
            return process.cgroup.oom_kills() > 0
        except (ShoalError, OSError):
            return False  # the hierarchy has no memory controller

    def _write_record(self, process: Process, exit: ExitBody) -> None:
        try:
            write_exit_record(process.exit_file, exit)
        except OSError as error:
            self._service.log("error", f"exit record `{process.exit_file}`: {os.strerror(error.errno or 0)}")

    def _kill(self, cgroup: Cgroup) -> None:
        try:
            cgroup.kill(signal.SIGKILL)
        except (ShoalError, OSError) as error:
            self._service.log("warning", f"cgroup {cgroup.path}: {error}")

    def _try_remove(self, cgroup: Cgroup, tries: int) -> None:
        try:
            cgroup.remove_nowait()
        except (ShoalError, OSError) as error:
            if tries == 0:
                self._service.log("warning", f"cgroup {cgroup.path} stays: {error}")
                return
            self._kill(cgroup)
            self._service.loop.call_later(_CGROUP_RETRY_S, lambda: self._try_remove(cgroup, tries - 1))


def write_exit_record(path: str, exit: ExitBody) -> None:
    """Writes how a container ended, whole or not at all. Raises: OSError.

    Not synced: what kills processes leaves the page cache, and a power cut has ended the container anyway.
    """
    text = (
        f'{{"exit_code":{exit["code"]},"signal":{exit["signal"]},"oom_killed":{_boolean(exit["oom"])},'
        f'"known":{_boolean(exit["known"])},"finished_at":"{rfc3339_nano(exit["finished_at_ns"])}",'
        f'"finished_at_ns":{exit["finished_at_ns"]}}}\n'
    )
    fd = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    os.rename(f"{path}.tmp", path)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _decoded(status: int | None) -> tuple[int, int, bool]:
    """(code, signal, known) of a status as waitpid tells it."""
    if status is None:
        return 255, 0, False
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return 128 + number, number, True
    return os.WEXITSTATUS(status), 0, True
