"""A whole engine in memory, for tests of the server: it has one container `c1`, one image `alpine`, and keeps notes."""

# ruff: noqa: ARG002 (a fake has the whole signature and uses some of it)

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass, field

from shoal.api.container import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspect,
    ContainerState,
    ContainerSummary,
    SummaryHostConfig,
    SummaryNetworkSettings,
    WaitResponse,
)
from shoal.api.event import EventActor, EventMessage
from shoal.api.exec import ExecConfig, ExecInspect, ExecProcessConfig, ExecStartConfig
from shoal.api.filters import Filters
from shoal.api.host_config import HostConfig
from shoal.api.image import (
    DriverData,
    HistoryItem,
    ImageConfig,
    ImageDeleteItem,
    ImageInspect,
    ImageMetadata,
    ImagesPruneReport,
    ImageSummary,
    RootFS,
)
from shoal.api.log import LogEntry, LogStream
from shoal.api.network import NetworkSettings
from shoal.api.options import AttachOptions, EventOptions, ImageListOptions, ListOptions, LogOptions
from shoal.api.progress import JSONMessage
from shoal.api.stdcopy import encode_frame
from shoal.api.system import Component, DiskUsage, PlatformName, Runtime, SystemInfo, SystemVersion
from shoal.api.timestamps import NEVER
from shoal.errors import Conflict, InvalidArgument, NotFound, NotModified
from shoal.linux.fd import Fd
from shoal.server.backend import Attachment
from tests.unit.server.fake_archives import FakeArchives
from tests.unit.server.fake_builds import FakeBuilds
from tests.unit.server.fake_networks import FakeNetworks
from tests.unit.server.fake_registries import FakeRegistries
from tests.unit.server.fake_storage import FakeStorage
from tests.unit.server.fake_upkeep import FakeUpkeep
from tests.unit.server.fake_volumes import FakeVolumes

CONTAINER_ID = "c1" + "0" * 62
IMAGE_ID = "sha256:" + "a" * 64


class EchoAttachment:
    """Sends what it is sent back, framed or not, until the client closes its half; then `tail`, then it closes."""

    def __init__(self, engine: FakeEngine, *, mux: bool, refusal: Exception | None = None) -> None:
        self._engine = engine
        self.mux = mux
        self._refusal = refusal

    async def connect(self, client: Fd, early: bytes) -> None:
        if self._refusal is not None:
            client.close()
            raise self._refusal
        self._engine.early.append(early)
        self._engine.streams.append(asyncio.create_task(self._echo(client, early)))

    async def _echo(self, client: Fd, early: bytes) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=client.detach()) as connection:
            connection.setblocking(False)
            data = early or await loop.sock_recv(connection, 65536)
            while data:
                await loop.sock_sendall(connection, encode_frame(1, data) if self.mux else data)
                data = await loop.sock_recv(connection, 65536)
            tail = b"bye\n"
            await loop.sock_sendall(connection, encode_frame(2, tail) if self.mux else tail)


@dataclass
class FakeContainers:
    """The container `c1`; `notes` has what it was asked."""

    engine: FakeEngine
    notes: list[tuple[object, ...]] = field(default_factory=list)
    exit: asyncio.Future[WaitResponse] | None = None
    waiters_left: int = 0
    tty: bool = False
    attach_refusal: bool = False
    log: list[LogEntry] = field(default_factory=list)
    log_goes_on: bool = False
    log_was_closed: asyncio.Event = field(default_factory=asyncio.Event)
    stop_gate: asyncio.Event | None = None
    stop_began: asyncio.Event = field(default_factory=asyncio.Event)

    def _check(self, ref: str) -> None:
        if ref not in ("c1", CONTAINER_ID):
            raise NotFound(f"No such container: {ref}")

    async def create(
        self, name: str | None, request: ContainerCreateRequest, platform: str | None
    ) -> ContainerCreateResponse:
        self.notes.append(("create", name, request, platform))
        if name == "taken":
            raise Conflict("Conflict. The container name is in use", fix="docker rm taken")
        if request.image != "alpine":
            raise NotFound(f"No such image: {request.image}")
        return ContainerCreateResponse(id=CONTAINER_ID)

    async def list(self, options: ListOptions) -> Sequence[ContainerSummary]:
        self.notes.append(("list", options))
        options.filters.validate({"status", "label", "name", "id"})
        return [
            ContainerSummary(
                id=CONTAINER_ID,
                names=["/c1"],
                image="alpine",
                image_id=IMAGE_ID,
                command="sleep 1",
                created=1_700_000_000,
                ports=[],
                labels={},
                state="running",
                status="Up 1 second",
                host_config=SummaryHostConfig(network_mode="bridge"),
                network_settings=SummaryNetworkSettings(),
                mounts=[],
            )
        ]

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect:
        self._check(ref)
        if ref == CONTAINER_ID and size:
            raise RuntimeError("a defect")
        return container_inspect(tty=self.tty)

    async def start(self, ref: str, *, detach_keys: str) -> None:
        self._check(ref)
        self.notes.append(("start", detach_keys))
        if self.exit is not None and not self.exit.done():
            self.exit.set_result(WaitResponse(status_code=7))
        if detach_keys == "ctrl-a":
            raise NotModified("container already started")

    async def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        self._check(ref)
        self.stop_began.set()
        if self.stop_gate is not None:
            await self.stop_gate.wait()
        self.notes.append(("stop", signal, timeout_s))

    async def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        self._check(ref)
        self.notes.append(("restart", signal, timeout_s))

    async def kill(self, ref: str, *, signal: str | None) -> None:
        self._check(ref)
        self.notes.append(("kill", signal))

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        self._check(ref)
        self.notes.append(("remove", force, volumes, link))

    async def rename(self, ref: str, name: str) -> None:
        self._check(ref)
        self.notes.append(("rename", name))

    async def pause(self, ref: str) -> None:
        self._check(ref)
        self.notes.append(("pause",))

    async def unpause(self, ref: str) -> None:
        self._check(ref)
        self.notes.append(("unpause",))

    async def wait(self, ref: str, condition: str) -> Awaitable[WaitResponse]:
        self._check(ref)
        if condition not in ("not-running", "next-exit", "removed"):
            raise InvalidArgument(f'invalid condition: "{condition}"')
        self.notes.append(("wait", condition))
        self.exit = asyncio.get_running_loop().create_future()
        return self.exit

    async def prepare_attach(self, ref: str, options: AttachOptions) -> Attachment:
        self._check(ref)
        self.notes.append(("attach", options))
        refusal = NotFound(f"No such container: {ref}") if self.attach_refusal else None
        return EchoAttachment(self.engine, mux=options.framed and not self.tty, refusal=refusal)

    async def logs(self, ref: str, options: LogOptions) -> LogStream:
        self._check(ref)
        self.notes.append(("logs", options))
        return LogStream(self.tty, self._blocks(options))

    async def _blocks(self, options: LogOptions) -> AsyncIterator[list[LogEntry]]:
        try:
            for start in range(0, len(self.log), 1000):
                yield self.log[start : start + 1000]
            if options.follow:
                await asyncio.Event().wait()
        finally:
            self.log_was_closed.set()

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        self._check(ref)
        self.notes.append(("resize", rows, columns))


@dataclass
class FakeExecs:
    """Execs of `c1`: `e1` attached with a terminal, `e2` attached without, `detached`, and `broken`."""

    engine: FakeEngine
    notes: list[tuple[object, ...]] = field(default_factory=list)
    breakdown: Exception = field(default_factory=lambda: InvalidArgument('exec: "x": not found'))

    async def create(self, ref: str, config: ExecConfig) -> str:
        if ref not in ("c1", CONTAINER_ID):
            raise NotFound(f"No such container: {ref}")
        self.notes.append(("create", config))
        return "e1" if config.tty else "e2"

    async def prepare_start(self, exec_id: str, config: ExecStartConfig) -> Attachment | None:
        self.notes.append(("start", exec_id, config))
        if exec_id == "broken":
            return EchoAttachment(self.engine, mux=True, refusal=self.breakdown)
        if exec_id not in ("e1", "e2", "detached"):
            raise NotFound(f"No such exec instance: {exec_id}")
        return None if exec_id == "detached" else EchoAttachment(self.engine, mux=exec_id == "e2")

    async def inspect(self, exec_id: str) -> ExecInspect:
        return ExecInspect(
            id=exec_id,
            running=False,
            exit_code=3,
            process_config=ExecProcessConfig(tty=False, entrypoint="ls", arguments=[]),
            open_stdin=False,
            open_stderr=True,
            open_stdout=True,
            can_remove=False,
            container_id=CONTAINER_ID,
            detach_keys="",
            pid=0,
        )

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        self.notes.append(("resize", exec_id, rows, columns))


@dataclass
class FakeImages:
    """The image `alpine`; what is loaded and imported is kept."""

    notes: list[tuple[object, ...]] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    broke_off: list[BaseException] = field(default_factory=list)
    load_reads: bool = True

    def _check(self, ref: str) -> None:
        if ref not in ("alpine", "docker.io/library/alpine", "alpine:latest"):
            raise NotFound(f"No such image: {ref if ':' in ref else ref + ':latest'}")

    async def list(self, options: ImageListOptions) -> Sequence[ImageSummary]:
        self.notes.append(("list", options))
        return []

    async def inspect(self, ref: str, *, platform: str | None, manifests: bool) -> ImageInspect:
        self._check(ref)
        return ImageInspect(
            id=IMAGE_ID,
            repo_tags=["alpine:latest"],
            repo_digests=[],
            parent="",
            comment="",
            created=NEVER,
            docker_version="",
            author="",
            config=ImageConfig(cmd=["sh"]),
            architecture="amd64",
            os="linux",
            size=1,
            graph_driver=DriverData(name="overlay2"),
            root_fs=RootFS(),
            metadata=ImageMetadata(),
        )

    async def history(self, ref: str, *, platform: str | None) -> Sequence[HistoryItem]:
        self._check(ref)
        return [HistoryItem(id=IMAGE_ID, created=0, created_by="x", tags=None, size=0, comment="")]

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        self._check(ref)
        self.notes.append(("tag", ref, repository, tag))

    async def remove(
        self, ref: str, *, force: bool, prune: bool, platforms: Sequence[str] = ()
    ) -> Sequence[ImageDeleteItem]:
        self._check(ref)
        return [ImageDeleteItem(untagged=ref), ImageDeleteItem(deleted=IMAGE_ID)]

    async def load(
        self, body: AsyncIterator[bytes], *, quiet: bool, platform: str | None = None
    ) -> AsyncIterator[JSONMessage]:
        if not self.load_reads:
            raise InvalidArgument("this is no archive")
        try:
            async for piece in body:
                self.received += piece
        except BaseException as error:
            self.broke_off.append(error)
            raise
        if self.received.startswith(b"bad"):
            raise InvalidArgument("invalid tar header")
        yield JSONMessage(stream="Loaded image: alpine:latest\n")
        if self.received.startswith(b"half"):
            raise InvalidArgument("the second half is missing")

    async def save(self, refs: Sequence[str], *, platform: str | None = None) -> AsyncIterator[bytes]:
        for ref in refs:
            self._check(ref)
        for _ in range(64):
            yield b"t" * 65536

    async def import_(
        self,
        body: AsyncIterator[bytes],
        *,
        repository: str,
        tag: str,
        changes: Sequence[str],
        message: str,
        platform: str | None,
    ) -> AsyncIterator[JSONMessage]:
        async for piece in body:
            self.received += piece
        self.notes.append(("import", repository, tag, changes, message, platform))
        yield JSONMessage(status=IMAGE_ID)

    async def prune(self, filters: Filters) -> ImagesPruneReport:
        filters.boolean("dangling", default=True)
        return ImagesPruneReport(images_deleted=None, space_reclaimed=0)


@dataclass
class FakeSystem:
    """Version, info and a stream of events that a test feeds."""

    notes: list[tuple[object, ...]] = field(default_factory=list)
    queue: asyncio.Queue[EventMessage] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def version(self) -> SystemVersion:
        return SystemVersion(
            platform=PlatformName(name="shoal"),
            components=[Component(name="Engine", version="0.1.0")],
            version="0.1.0",
            api_version="1.50",
            min_api_version="1.24",
            git_commit="",
            os="linux",
            arch="amd64",
            kernel_version=os.uname().release,
        )

    async def info(self) -> SystemInfo:
        return SystemInfo(
            id="x",
            containers=0,
            containers_running=0,
            containers_paused=0,
            containers_stopped=0,
            images=0,
            driver="overlay2",
            driver_status=[],
            memory_limit=True,
            swap_limit=True,
            cpu_cfs_period=True,
            cpu_cfs_quota=True,
            cpu_shares=True,
            cpu_set=True,
            pids_limit=True,
            ipv4_forwarding=True,
            oom_kill_disable=False,
            system_time=NEVER,
            cgroup_version="2",
            kernel_version="",
            operating_system="Debian",
            os_version="12",
            architecture="x86_64",
            ncpu=2,
            mem_total=1,
            docker_root_dir="/var/lib/shoal",
            name="host",
            server_version="0.1.0",
            runtimes={"shoal": Runtime()},
            default_runtime="shoal",
            security_options=[],
        )

    async def events(self, options: EventOptions) -> AsyncIterator[EventMessage]:
        options.filters.validate({"type", "container"})
        self.notes.append(("events", options))
        return self._events()

    async def _events(self) -> AsyncIterator[EventMessage]:
        try:
            while True:
                yield await self.queue.get()
        finally:
            self.closed.set()

    async def disk_usage(self, kinds: Collection[str]) -> DiskUsage:
        self.notes.append(("df", frozenset(kinds)))
        return DiskUsage()


class FakeEngine:
    """The engine: every noun, the early bytes of attachments, and the tasks that carry their streams."""

    def __init__(self) -> None:
        self.early: list[bytes] = []
        self.streams: list[asyncio.Task[None]] = []
        self.containers = FakeContainers(self)
        self.archives = FakeArchives()
        self.execs = FakeExecs(self)
        self.images = FakeImages()
        self.registries = FakeRegistries()
        self.builds = FakeBuilds()
        self.system = FakeSystem()
        self.networks = FakeNetworks()
        self.storage = FakeStorage()
        self.upkeep = FakeUpkeep()
        self.volumes = FakeVolumes()


def container_inspect(*, tty: bool = False) -> ContainerInspect:
    """What `c1` shows of itself."""
    return ContainerInspect(
        id=CONTAINER_ID,
        created=NEVER,
        path="sleep",
        args=["1"],
        state=ContainerState(
            status="running",
            running=True,
            paused=False,
            restarting=False,
            oom_killed=False,
            dead=False,
            pid=1,
            exit_code=0,
            error="",
            started_at=NEVER,
            finished_at=NEVER,
        ),
        image=IMAGE_ID,
        resolv_conf_path="",
        hostname_path="",
        hosts_path="",
        log_path="",
        name="/c1",
        restart_count=0,
        driver="overlay2",
        platform="linux",
        mount_label="",
        process_label="",
        app_armor_profile="",
        exec_ids=None,
        host_config=HostConfig(),
        graph_driver=DriverData(name="overlay2"),
        mounts=[],
        config=ContainerConfig(image="alpine", tty=tty),
        network_settings=NetworkSettings(),
    )


def event(action: str) -> EventMessage:
    """An event about `c1`."""
    return EventMessage(
        scope="local",
        type="container",
        action=action,
        actor=EventActor(id=CONTAINER_ID, attributes={}),
        time=1,
        time_ns=1,
    )
