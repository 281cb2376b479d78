"""What the engine asks of whatever runs containers, and what it is told back; runs in shoald.

One Protocol, `RuntimeDriver`, implemented by `native`, with namespaces and cgroups; `vm` makes the plans of containers
that get a machine of their own. Everything in a `Launch` is decided before: a driver applies no rule of Docker's and
reads no record of the engine's.

    engine                          driver                           container
      │ start(launch, wire) ─────────▶│ ── clone, into its cgroup ─────▶│ (init exists, waits)
      │ ◀──── wire(pid) ──────────────│                                 │
      │  attach the network … return ▶│ ── "network ready" ────────────▶│ configures its interface, execve
      │ ◀──── Started(pid, …) ────────│                                 │ runs
      │ ◀──── on_exit(id, Exit) ──────│ ◀── exits ──────────────────────│
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from shoal.linux import processes
    from shoal.linux.fd import Fd
    from shoal.oci.network import InterfaceConfig
    from shoal.oci.rootfs import Rootfs
    from shoal.oci.runtime_spec import Process, RuntimeSpec


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """Which streams a client gets; `mux` frames them as Docker's stdcopy does, for want of a terminal."""

    stdin: bool
    stdout: bool
    stderr: bool
    mux: bool
    detach_keys: bytes = b"\x10\x11"


@dataclass(frozen=True, slots=True)
class Client:
    """A client that is attached before the process runs, so that it misses no byte of output.

    `socket` is its connection, owned by the driver from the call on, whether the start succeeds or not;
    `early` is what it sent behind its request.
    """

    options: AttachOptions
    socket: Fd
    early: bytes = b""


@dataclass(frozen=True, slots=True)
class RemoteLog:
    """Who else is sent a container's output: a syslog server or systemd's journal.

    `address` is a path or, with a `port`, an address in digits. `format` is "journald", whose messages have `fields`,
    or a syslog format, whose messages have the rest. Where the receiver is slow, the container waits if `blocking`;
    `queue_bytes` may wait. `tls` is what tls_relay.py takes.
    """

    protocol: Literal["unix", "unixgram", "udp", "tcp", "tcp+tls"]
    address: str
    port: int = 0
    format: str = ""
    facility: int = 3
    tag: str = ""
    hostname: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    blocking: bool = True
    queue_bytes: int = 1 << 20
    tls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogSink:
    """Where a container's output is kept: a rotated file at `path` in a driver's format; and who else gets it."""

    driver: Literal["json-file", "local", "none"]
    path: str = ""
    max_size_bytes: int | None = None
    max_files: int = 1
    attributes: dict[str, str] = field(default_factory=dict)
    compress: bool = False
    remote: RemoteLog | None = None


@dataclass(frozen=True, slots=True)
class MachineSize:
    """What a virtual machine gets of this one."""

    memory_mib: int
    processors: int


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting one container needs.

    `run_dir` (EXEC_ROOT/containers/ID) holds the FIFOs of its output, `bundle_dir` its config.json,
    `exit_file` is written when it ends, `cgroup_path` is "/shoal/ID" in every hierarchy. `interface` is the
    container's end of its network, None where there is nothing but lo or where the network is another's.
    `rows` and `columns` are 0 when the client has not said. With a `machine` it runs in one of its own, of that size.
    `resolver`: its networks have names, and it asks for them at 127.0.0.11.
    """

    id: str
    spec: RuntimeSpec
    rootfs: Rootfs
    run_dir: str
    bundle_dir: str
    log: LogSink
    exit_file: str
    cgroup_path: str
    terminal: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    rows: int = 0
    columns: int = 0
    interfaces: tuple[InterfaceConfig, ...] = ()
    clients: tuple[Client, ...] = ()
    machine: MachineSize | None = None
    resolver: bool = False


@dataclass(frozen=True, slots=True)
class ExecLaunch:
    """One more process in a running container whose init is `pid`.

    `spec` is the specification of the container: the process gets its seccomp filter from there,
    and everything else from `process`. `in_machine` says that it runs in a virtual machine.
    """

    id: str
    exec_id: str
    pid: int
    process: Process
    spec: RuntimeSpec
    run_dir: str
    cgroup_path: str
    terminal: bool = False
    open_stdin: bool = False
    rows: int = 0
    columns: int = 0
    clients: tuple[Client, ...] = ()
    in_machine: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The first process of a container or an exec runs: execve has succeeded.

    `warnings` are things the kernel would not do and that did not stop it (a clamped limit).
    """

    pid: int
    started_at_ns: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `code` is 128+n for the `signal` n; meaningless unless `known`. 0 is no signal."""

    code: int
    finished_at_ns: int
    oom_killed: bool = False
    known: bool = True
    signal: int = 0


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Whose streams: a container's first process, or one of its execs."""

    id: str
    exec_id: str | None = None


@dataclass(frozen=True, slots=True)
class KnownContainer:
    """A container that the engine believed to run before shoald went away."""

    launch: Launch
    pid: int
    started_at_ns: int
    start_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a known container while shoald was away.

    `pid` is set while it runs, `exit` once it ended (with `known=False` where nobody can tell how). `note`
    says what was repaired, for the log; "" when nothing was.
    """

    id: str
    pid: int | None
    exit: Exit | None
    exec_ids: tuple[str, ...] = ()
    note: str = ""


Wire: TypeAlias = Callable[[int], Awaitable[None]]
OnExit: TypeAlias = Callable[[str, Exit], None]
OnExecExit: TypeAlias = Callable[[str, str, Exit], None]
OnDetach: TypeAlias = Callable[[str, "str | None"], None]
OnLog: TypeAlias = Callable[[str, str], None]


class RuntimeDriver(Protocol):
    """Runs containers. Every method may be called for any id; an unknown one raises NotFound."""

    async def start(self, launch: Launch, wire: Wire | None) -> Started:
        """The container's first process, running.

        `wire(pid)` is awaited as soon as the pid exists; when it raises, the container is taken back and the
        same error is raised here. A failure before execve leaves no process, cgroup or FIFO behind.

        Raises: ShoalError whose `what` is the sentence a Docker client sees.
        """
        ...

    async def exec(self, request: ExecLaunch) -> Started:
        """The additional process, running. Raises as `start` does; Conflict when the container ended."""
        ...

    async def attach(self, target: StreamTarget, options: AttachOptions, client: Fd, early: bytes) -> None:
        """Hands the client's connected socket over; the driver owns it from here and closes it.

        `early` is what the client sent behind its request. Returns once the hand-over is done.
        """
        ...

    async def signal(self, id: str, exec_id: str | None, signal: int, *, group: bool = False) -> None:
        """Sends a signal; a process that has just ended is not an error.

        `group`: to its whole process group, where the kernel can (Linux 6.9).
        """
        ...

    async def machine_processes(self, id: str) -> list[processes.Process]:
        """The processes of a container that runs in a machine of its own. Raises: Conflict when it has ended."""
        ...

    async def resize(self, id: str, exec_id: str | None, rows: int, columns: int) -> None:
        """Gives the terminal a size. Raises: Conflict when there is no terminal."""
        ...

    async def recover(self, known: Sequence[KnownContainer]) -> list[Recovered]:
        """What became of each known container, in the same order; called once, before anything else.

        Streams of those that run are taken up again. Containers found that nobody knows are ended.
        """
        ...

    async def close(self) -> None:
        """Lets go of everything. shoald leaves, the containers stay."""
        ...

    def subscribe(self, on_exit: OnExit, on_exec_exit: OnExecExit, on_detach: OnDetach, on_log: OnLog) -> None:
        """Sets whom to tell, on shoald's event loop: ends, detached clients, and (level, text) records."""
        ...
