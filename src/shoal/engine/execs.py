"""Further processes in running containers (Docker API v1.50 `Exec`).

    create ──▶ waiting ──start──▶ running ──exit──▶ ended (kept five minutes for its exit code)

Kept in memory only, as with Docker: an exec whose daemon was killed ends like any process, and nobody can ask for it.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import signal
from base64 import b64encode
from dataclasses import dataclass, field

from shoal.api.detach_keys import parse_detach_keys
from shoal.api.exec import ExecConfig, ExecInspect, ExecProcessConfig, ExecStartConfig, console_size
from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.record import ContainerRecord, check_settled
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import Conflict, InvalidArgument, NotFound, ShoalError, SyscallError
from shoal.linux.fd import Fd
from shoal.runtime.driver import AttachOptions, Client, Exit, RuntimeDriver

_KEPT_NS = 300 * 1_000_000_000


@dataclass(slots=True)
class ExecRecord:
    """One exec, of the container's run that began at `run_ns`.

    `exit_code` is None until it has ended; `launched` is set once its start has succeeded or failed; `dropped` says
    that nobody wants it any more.
    """

    id: str
    container: ContainerRecord
    config: ExecConfig
    run_ns: int
    started: bool = False
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    ended_ns: int = 0
    launched: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False

    @property
    def is_void(self) -> bool:
        """Whether it was never started, and its container's run is over: nothing can become of it."""
        if self.started or self.running or self.exit_code is not None:
            return False
        return not self.container.is_running or self.container.state.started_at_ns != self.run_ns


class Execs:
    """All execs of the daemon; what the server calls `ExecBackend`."""

    def __init__(
        self,
        *,
        registry: ContainerRegistry,
        driver: RuntimeDriver,
        launches: LaunchBuilder,
        events: EventLog,
        clock: Clock,
        background: Background,
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._launches = launches
        self._events = events
        self._clock = clock
        self._background = background
        self._execs: dict[str, ExecRecord] = {}

    def ids_of(self, container_id: str) -> list[str]:
        """The container's execs that wait or run."""
        mine = (e for e in self._execs.values() if e.container.id == container_id)
        return [e.id for e in mine if e.exit_code is None and not e.is_void]

    def forget(self, container_id: str) -> None:
        """Drops the execs of a container that is gone."""
        for id in [e.id for e in self._execs.values() if e.container.id == container_id]:
            del self._execs[id]

    async def create(self, ref: str, config: ExecConfig) -> str:
        """The id of a new exec. Raises: NotFound, Conflict, InvalidArgument."""
        container = self._registry.find(ref)
        if container.state.status == "paused":
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        check_settled(container)
        if not container.is_running:
            raise Conflict(f"container {container.id} is not running", fix=f"docker start {container.name}")
        parse_detach_keys(config.detach_keys)
        self._drop_old()
        return self.prepare(container, config).id

    def prepare(self, container: ContainerRecord, config: ExecConfig, *, mark: str = "") -> ExecRecord:
        """A new exec that is to be run; its id begins with `mark`, some hexadecimal digits.

        Raises: InvalidArgument without a command.
        """
        if not config.cmd:
            raise InvalidArgument("No exec command specified")
        id = mark + secrets.token_hex(32)[len(mark) :]
        record = ExecRecord(id, container, config, container.state.started_at_ns)
        self._execs[record.id] = record
        self._tell(record, f"exec_create: {' '.join(config.cmd)}")
        return record

    def drop(self, record: ExecRecord) -> None:
        """Forgets an exec; one that is just being started is killed as soon as it runs."""
        record.dropped = True
        self._execs.pop(record.id, None)

    def _drop_old(self) -> None:
        limit_ns = self._clock() - _KEPT_NS
        ended = [e.id for e in self._execs.values() if e.exit_code is not None and e.ended_ns < limit_ns]
        for id in (*ended, *(e.id for e in self._execs.values() if e.is_void)):
            del self._execs[id]

    def _find(self, exec_id: str) -> ExecRecord:
        record = self._execs.get(exec_id)
        if record is None or record.is_void:
            raise NotFound(f"No such exec instance: {exec_id}")
        return record

    async def prepare_start(self, exec_id: str, config: ExecStartConfig) -> ExecAttachment | None:
        """Leave to attach, which starts the exec; None for a detached one, started already.

        Raises: NotFound; Conflict when it was started before, or its container does not run.
        """
        record = self._find(exec_id)
        if record.running:
            raise Conflict(f"exec {exec_id} is already running")
        if record.started:
            raise Conflict(f"Error: Exec command {exec_id} has already run")
        if not record.container.is_running:
            raise Conflict(f"container {record.container.id} is not running")
        record.started = True
        size = config.console_size or record.config.console_size
        if not config.detach:
            return ExecAttachment(self, record, size)
        await self.run(record, size, None)
        return None

    async def run(self, record: ExecRecord, size: list[int] | None, client: Client | None) -> None:
        """Starts the process, even if the client leaves meanwhile.

        Raises: what the driver raises, with Docker's opening words.
        """
        await self._background.complete(self._run(record, size, client))

    async def _run(self, record: ExecRecord, size: list[int] | None, client: Client | None) -> None:
        rows, columns = console_size(size)
        clients = (client,) if client else ()
        self._tell(record, f"exec_start: {' '.join(record.config.cmd)}")
        record.running = True
        try:
            started = await self._driver.exec(
                self._launches.build_exec(record.container, record.id, record.config, rows, columns, clients)
            )
        except BaseException as problem:
            record.running, record.ended_ns = False, self._clock()
            record.exit_code = 126
            if not isinstance(problem, ShoalError):
                raise
            if isinstance(problem, SyscallError) and problem.errno == errno.ESRCH:
                # There was no process to join: the container has ended, and its end is about to be noted.
                raise Conflict(f"container {record.container.id} is not running") from problem
            record.exit_code = 127 if "not found" in problem.what else 126
            problem.what = f"OCI runtime exec failed: exec failed: unable to start container process: {problem.what}"
            raise
        finally:
            record.launched.set()
        record.pid = started.pid
        if record.dropped:
            await self._driver.signal(record.container.id, record.id, signal.SIGKILL, group=True)

    def exited(self, container_id: str, exec_id: str, exit: Exit) -> None:
        """The driver tells that the exec's process ended."""
        record = self._execs.get(exec_id)
        if record is not None and record.container.id == container_id:
            record.running, record.exit_code, record.ended_ns = False, exit.code, self._clock()
            record.ended.set()
            self._tell(record, "exec_die", exitCode=str(exit.code))

    def detached(self, container_id: str, exec_id: str | None) -> None:
        """The driver tells that a client left a terminal by its detach keys."""
        container = self._registry.get(container_id)
        if container is not None:
            more = {"execID": exec_id} if exec_id else {}
            action = "exec_detach" if exec_id else "detach"
            self._events.publish("container", action, container_id, {**container.attributes(), **more})

    async def inspect(self, exec_id: str) -> ExecInspect:
        """The exec's state. Raises: NotFound."""
        record = self._find(exec_id)
        if record.running:
            # Who has just seen its stream end asks for the exit code, which its supervisor told before that: this waits
            # in the loop, where the request may have overtaken it.
            await asyncio.sleep(0)
        config = record.config
        process = ExecProcessConfig(
            tty=config.tty,
            entrypoint=config.cmd[0],
            arguments=config.cmd[1:],
            privileged=config.privileged,
            user=config.user,
        )
        return ExecInspect(
            id=record.id,
            running=record.running,
            exit_code=record.exit_code,
            process_config=process,
            open_stdin=config.attach_stdin,
            open_stderr=config.attach_stderr,
            open_stdout=config.attach_stdout,
            can_remove=False,
            container_id=record.container.id,
            detach_keys=_shown_keys(config.detach_keys),
            pid=record.pid,
        )

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Gives the exec's terminal a size; without a terminal nothing changes.

        Raises: NotFound, also when it has ended; Conflict when it was not started.
        """
        record = self._find(exec_id)
        if record.exit_code is not None:
            raise NotFound("no such exec", why="it has ended")
        if not record.running:
            raise Conflict(f"exec {exec_id} is not running")
        if not record.config.tty:
            return
        # Clients resize as soon as their stream is open, which is before the process has its terminal.
        await record.launched.wait()
        if record.running:
            await self._driver.resize(record.container.id, record.id, *console_size((rows, columns)))

    def _tell(self, record: ExecRecord, action: str, **more: str) -> None:
        attributes = {**record.container.attributes(), "execID": record.id, **more}
        self._events.publish("container", action, record.container.id, attributes)


def _shown_keys(text: str) -> str:
    """The key sequence as inspections show it: its bytes in base64, nothing for the default."""
    return b64encode(parse_detach_keys(text)).decode() if text else ""


class ExecAttachment:
    """Leave to attach to an exec that has not been started: connecting starts it."""

    def __init__(self, execs: Execs, record: ExecRecord, size: list[int] | None) -> None:
        self._execs = execs
        self._record = record
        self._size = size

    @property
    def mux(self) -> bool:
        """Whether the streams are framed: they are without a terminal."""
        return not self._record.config.tty

    async def connect(self, client: Fd, early: bytes) -> None:
        """Starts the process with `client` at its streams. Raises: what the driver raises."""
        config = self._record.config
        options = AttachOptions(
            stdin=config.attach_stdin,
            stdout=config.attach_stdout,
            stderr=config.attach_stderr,
            mux=self.mux,
            detach_keys=parse_detach_keys(config.detach_keys) if config.tty else b"",
        )
        await self._execs.run(self._record, self._size, Client(options, client, early))
