"""What a supervisor knows of each process that it hosts, and the table of them.

starting ──execve──▶ running ──ends──▶ exited ──forget──▶ (gone)
   └──── a step fails, abort, shoald lost ────────────────▶ (gone)
"""

from __future__ import annotations

from shoal.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoal.linux.cgroups import Cgroup
    from shoal.linux.fd import Fd
    from shoal.supervisor.protocol import ExitBody, ProcessBody
    from shoal.supervisor.stdio import Streams

STARTING = "starting"
RUNNING = "running"
EXITED = "exited"


class Process:
    """A container's first process, or (with an `exec_id`) one more in it. Owns its pidfd and streams.

    `own_pid_namespace` says that the kernel ends all of the container's processes with the first one.
    `orphan` marks a process taken over from a dead supervisor: it is not our child.
    """

    __slots__ = (
        "cgroup", "exec_id", "exit", "exit_file", "id", "orphan", "own_pid_namespace", "pid", "pidfd", "run_dir",
        "start_ticks", "started_at_ns", "state", "streams", "terminal",
    )  # fmt: skip

    def __init__(self, id: str, exec_id: str | None, run_dir: str, exit_file: str) -> None:
        self.id = id
        self.exec_id = exec_id
        self.run_dir = run_dir
        self.exit_file = exit_file
        self.state = STARTING
        self.pid = 0
        self.pidfd: Fd | None = None
        self.start_ticks = 0
        self.started_at_ns = 0
        self.cgroup: Cgroup | None = None
        self.streams: Streams | None = None
        self.terminal = False
        self.exit: ExitBody | None = None
        self.orphan = False
        self.own_pid_namespace = True

    def to_wire(self) -> ProcessBody:
        """What `list` tells of it."""
        return {
            "id": self.id,
            "exec_id": self.exec_id,
            "pid": self.pid,
            "start_ticks": self.start_ticks,
            "state": self.state,
            "started_at_ns": self.started_at_ns,
            "run_dir": self.run_dir,
            "terminal": self.terminal,
            "exit": self.exit,
        }


class Table:
    """All processes of one supervisor, by container and exec."""

    __slots__ = ("_processes",)

    def __init__(self) -> None:
        self._processes: dict[tuple[str, str | None], Process] = {}

    def __iter__(self) -> Iterator[Process]:
        return iter(tuple(self._processes.values()))

    def add(self, process: Process) -> None:
        """Takes a new process. Raises: Conflict while one of the same name has not ended."""
        key = (process.id, process.exec_id)
        known = self._processes.get(key)
        if known is not None and known.state != EXITED:
            raise Conflict(f"{_noun(*key)} is {known.state} already")
        self._processes[key] = process

    def get(self, id: str, exec_id: str | None) -> Process:
        """The process. Raises: NotFound."""
        process = self._processes.get((id, exec_id))
        if process is None:
            raise NotFound(f"No such {_noun(id, exec_id)}")
        return process

    def remove(self, process: Process) -> None:
        """Forgets it, if it is the one of that name."""
        if self._processes.get((process.id, process.exec_id)) is process:
            del self._processes[process.id, process.exec_id]

    def execs_of(self, id: str) -> list[Process]:
        """All execs of a container."""
        return [process for process in self if process.id == id and process.exec_id is not None]

    @property
    def busy(self) -> bool:
        """Whether anything lives here."""
        return any(process.state != EXITED for process in self._processes.values())


def _noun(id: str, exec_id: str | None) -> str:
    return f"exec instance: {exec_id}" if exec_id is not None else f"container: {id}"
