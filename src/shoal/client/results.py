"""What the calls of the Python API give back, and how a command's failure is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shoal.client.document import Document
from shoal.errors import ShoalError, TimedOut

_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Output:
    """What a command wrote, and how it ended.

    >>> output = Output(0, b"hello\\n", b"")
    >>> output.text
    'hello\\n'
    """

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output as text; what is not UTF-8 is replaced."""
        return self.stdout.decode("utf-8", "replace")

    def __str__(self) -> str:
        return self.text


class CommandFailed(ShoalError):
    """A command ended with another exit code than 0.

    `output` is what it wrote; `exit_code`, `stdout` and `stderr` are its parts.
    """

    def __init__(self, what: str, output: Output) -> None:
        said = output.stderr.decode("utf-8", "replace").strip()
        super().__init__(what, why=said[-_SHOWN_CHARACTERS:])
        self.output = output

    @property
    def exit_code(self) -> int:
        """128 and the signal's number for a command that a signal ended."""
        return self.output.exit_code

    @property
    def stdout(self) -> bytes:
        """What it wrote to its standard output."""
        return self.output.stdout

    @property
    def stderr(self) -> bytes:
        """What it wrote to its standard error."""
        return self.output.stderr


class ContainerFailed(CommandFailed):
    """The command of a container that `run` started failed."""


class ExecFailed(CommandFailed):
    """A further command in a running container failed."""


class CommandTimedOut(TimedOut):
    """A command took longer than its time limit. `stdout` and `stderr` have what it wrote until then."""

    def __init__(self, what: str, *, stdout: bytes, stderr: bytes) -> None:
        super().__init__(what, why="the time limit is over", fix="give a larger timeout_s")
        self.stdout = stdout
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a program's output as it came. `stream` is "stdout" or "stderr"; of a terminal always "stdout"."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's log, without its end. `time` is there where it was asked for."""

    stream: str
    data: bytes
    time: datetime | None = None

    @property
    def text(self) -> str:
        """The line as text; what is not UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ContainerState:
    """How a container is at one moment. `health` is "" for one without a health check."""

    status: str
    pid: int
    exit_code: int
    error: str
    oom_killed: bool
    started_at: datetime | None
    finished_at: datetime | None
    health: str

    @property
    def running(self) -> bool:
        """Whether its program runs (a paused one does)."""
        return self.status in ("running", "paused", "restarting")

    @classmethod
    def parse(cls, state: Document) -> ContainerState:
        """From the `State` of Docker's ContainerInspect."""
        return cls(
            status=state.text("Status"),
            pid=state.number("Pid"),
            exit_code=state.number("ExitCode"),
            error=state.text("Error"),
            oom_killed=state.flag("OOMKilled"),
            started_at=parse_time(state.text("StartedAt")),
            finished_at=parse_time(state.text("FinishedAt")),
            health=state.text("Health", "Status"),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `type` "container", `action` "start", the object's `id` and attributes."""

    type: str
    action: str
    id: str
    attributes: dict[str, str]
    time: datetime | None
    document: Document

    @classmethod
    def parse(cls, document: Document) -> Event:
        """From Docker's EventMessage."""
        attributes = {name: str(value) for name, value in document.mapping("Actor", "Attributes").items()}
        nanoseconds = document.number("timeNano")
        return cls(
            type=document.text("Type"),
            action=document.text("Action"),
            id=document.text("Actor", "ID"),
            attributes=attributes,
            time=datetime.fromtimestamp(nanoseconds / 1e9).astimezone() if nanoseconds else None,
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container uses at one moment. `document` has all that the engine counts."""

    memory_bytes: int
    memory_limit_bytes: int
    cpu_ns: int
    pids: int
    received_bytes: int
    sent_bytes: int
    document: Document

    @classmethod
    def parse(cls, document: Document) -> Sample:
        """From Docker's ContainerStatsResponse."""
        interfaces = list(document.mapping("networks"))
        return cls(
            memory_bytes=document.number("memory_stats", "usage"),
            memory_limit_bytes=document.number("memory_stats", "limit"),
            cpu_ns=document.number("cpu_stats", "cpu_usage", "total_usage"),
            pids=document.number("pids_stats", "current"),
            received_bytes=sum(document.number("networks", name, "rx_bytes") for name in interfaces),
            sent_bytes=sum(document.number("networks", name, "tx_bytes") for name in interfaces),
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs from the image: `kind` is "changed", "added" or "deleted"."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed, by name or id."""

    removed: tuple[str, ...]
    reclaimed_bytes: int


def parse_time(text: str) -> datetime | None:
    """A time as the API writes it; None for the zero time, which stands for never."""
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
