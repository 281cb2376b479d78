"""A lifecycle, a stopper and the service over them, with a driver and networks that only remember."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from shoal.api.container import ContainerConfig
from shoal.api.filters import Filters
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.background import Background
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.exits_noting import ExitNoter
from shoal.engine.container.exits_oom import OomInquiry
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.lifecycle import Lifecycle
from shoal.engine.container.links import Links
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.oom_watch import OomWatch
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.removal_claims import RemovalClaims
from shoal.engine.container.service import Containers
from shoal.engine.container.stopping import Stopper
from shoal.engine.container.view import NetworkView
from shoal.engine.container.waiters import Waiters
from shoal.engine.events import EventLog
from shoal.engine.health.action import UnhealthyActions
from shoal.engine.health.check import HealthCheck
from shoal.engine.health.monitor import HealthMonitor
from shoal.engine.health.prober import Prober
from shoal.engine.health.record import ProbeResult
from shoal.engine.health.store import HealthStore
from shoal.engine.image_names import ImageNames
from shoal.engine.networking import ContainerNetworks, Place
from shoal.engine.paths import Paths
from shoal.errors import Conflict, NotFound
from shoal.image.snapshot.protocol import Snapshotter, Usage
from shoal.linux.fd import Fd
from shoal.oci.rootfs import PlainRootfs
from shoal.runtime.driver import AttachOptions, Exit, LogSink, RuntimeDriver, Started, StreamTarget

ID = "c" * 64


@dataclass
class FakeDriver:
    """Starts nothing. `gate` holds a start up, `obeys` are the signals that end a container at once."""

    failure: Exception | None = None
    started: list[str] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    gate: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    obeys: tuple[int, ...] = (9, 15)
    on_exit: Callable[[str, Exit], None] | None = None

    async def start(self, launch: str, wire: object) -> Started:
        del wire
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.started.append(launch)
        return Started(0x7FFFFFFF, 1_000)

    async def signal(self, id: str, exec_id: str | None, signal: int, *, group: bool = False) -> None:
        del exec_id, group
        self.signals.append(signal)
        if signal in self.obeys and self.on_exit is not None:
            self.on_exit(id, Exit(128 + signal, 2_000))

    async def attach(self, target: StreamTarget, options: AttachOptions, client: Fd, early: bytes) -> None:
        del target, options, early
        client.close()


class _Resolving:
    """Knows no names."""

    def changed(self) -> None:
        """Nothing is kept."""


@dataclass
class FakeNetworks:
    """Remembers who has an address."""

    held: set[str] = field(default_factory=set)
    resolving: _Resolving = field(default_factory=_Resolving)
    failure: Exception | None = None

    async def allocate(self, record: ContainerRecord) -> tuple[Place, ...]:
        self.held.add(record.id)
        return ()

    def wire(self, places: Sequence[Place]) -> None:
        del places

    def announce(self, record: ContainerRecord, action: str) -> None:
        del record, action

    async def found_running(self, record: ContainerRecord) -> None:
        del record

    async def release(self, record: ContainerRecord) -> None:
        if self.failure is not None:
            raise self.failure
        self.held.discard(record.id)

    def view(self, record: ContainerRecord) -> NetworkView:
        del record
        return NetworkView({}, {})


class _Launches:
    def build(self, record: ContainerRecord, places: object, clients: object, log: object) -> str:
        del places, clients, log
        return record.id


class _Logs:
    async def opened(self, record: ContainerRecord) -> LogSink:
        del record
        return LogSink("none")


@dataclass
class FakeRemover:
    """Removes by the rules of the states, and nothing else."""

    registry: ContainerRegistry
    removed: list[str] = field(default_factory=list)
    claims: RemovalClaims = field(default_factory=RemovalClaims)
    gate: asyncio.Event | None = None

    async def remove(self, record: ContainerRecord, *, volumes: bool = False) -> None:
        del volumes
        if self.gate is not None:
            await self.gate.wait()
        record.move("remove")
        self.removed.append(record.id)
        self.registry.delete(record)


class _OomWatch:
    """Watches nothing."""

    def started(self, record: ContainerRecord) -> None:
        """Nothing is to come."""

    def ended(self, record: ContainerRecord) -> None:
        """Nothing came."""

    def close(self) -> None:
        """Nothing is left."""


class _Volumes:
    """The containers have none."""

    def announce(self, record: ContainerRecord, action: str) -> None:
        """Tells nothing."""


class _ImageNames:
    def show(self, ref: str, id: str) -> str:
        del id
        return ref

    def size_bytes(self, id: str) -> int:
        del id
        return 100

    def descendants(self, ref: str) -> tuple[str, ...]:
        del ref
        return ()


@dataclass
class FakeSnapshotter:
    """Knows the size of what it has not been told to have lost."""

    lost: set[str] = field(default_factory=set)
    going: set[str] = field(default_factory=set)
    name: str = "fake"

    def usage(self, key: str) -> Usage:
        if key in self.lost:
            raise NotFound(f"no snapshot {key}")
        if key in self.going:
            raise FileNotFoundError(key)
        return Usage(1, 1)


@dataclass
class FakeProber:
    """Answers with what it is given, the last result again and again; probes nothing."""

    results: list[ProbeResult] = field(default_factory=lambda: [ProbeResult(1, 2, 0, "")])
    probes: int = 0
    killed: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def probe(self, container: ContainerRecord, check: HealthCheck, tell: Callable[[ProbeResult], None]) -> None:
        del container, check
        self.probes += 1
        if self.gate is not None:
            await self.gate.wait()
        tell(self.results.pop(0) if len(self.results) > 1 else self.results[0])

    async def kill_left_over(self, container_id: str, exec_ids: tuple[str, ...]) -> None:
        del container_id
        self.killed += exec_ids


class _Freezer:
    """Freezes nothing, but keeps the states."""

    async def unpause(self, record: ContainerRecord) -> None:
        if record.state.status != "paused":
            raise Conflict(f"Container {record.id} is not paused")
        record.move("unpause")


@dataclass
class Bench:
    """What a test works with."""

    lifecycle: Lifecycle
    containers: Containers
    registry: ContainerRegistry
    driver: FakeDriver
    networks: FakeNetworks
    remover: FakeRemover
    waiters: Waiters
    clients: WaitingClients
    events: EventLog
    snapshotter: FakeSnapshotter
    prober: FakeProber

    def add(self, *, config: ContainerConfig | None = None, **host: Any) -> ContainerRecord:
        """A new container named `web`."""
        record = ContainerRecord(
            id=ID,
            name="web",
            created_ns=1,
            image_id="sha256:0",
            config=config or ContainerConfig(image="busybox"),
            host_config=HostConfig(**host),
            networking=NetworkingConfig(),
            path="true",
            args=[],
            rootfs=PlainRootfs("/nowhere"),
        )
        self.registry.add(record)
        return record

    async def actions(self) -> list[str]:
        """The actions that were told of."""
        return [message.action async for message in self.events.subscribe(0, 1, Filters())]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Returns when `is_so`; the test's time limit is the patience."""
        while not is_so():
            await asyncio.sleep(0.001)


def run(test: Callable[[Bench], Awaitable[None]]) -> None:
    """Runs `test` on an event loop of its own, for ten seconds at most."""

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            background = Background(tasks)
            bench = _bench(background)
            try:
                await test(bench)
            finally:
                bench.lifecycle.close()
                await background.cancel()

    asyncio.run(asyncio.wait_for(body(), 10))


def _bench(background: Background) -> Bench:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA foreign_keys=ON")
    registry = ContainerRegistry(database)
    driver, networks, remover = FakeDriver(), FakeNetworks(), FakeRemover(registry)
    waiters, clients, events, locks = Waiters(), WaitingClients(), EventLog(lambda: 1), ContainerLocks()
    runtime = cast(RuntimeDriver, driver)
    prober = FakeProber()
    health = HealthMonitor(HealthStore(database), cast(Prober, prober), events, lambda: 1, background)
    lifecycle = Lifecycle(
        registry=registry,
        driver=runtime,
        networks=cast(ContainerNetworks, networks),
        launches=cast(LaunchBuilder, _Launches()),
        remover=cast(Remover, remover),
        waiters=waiters,
        clients=clients,
        locks=locks,
        events=events,
        background=background,
        volumes=cast(ContainerVolumes, _Volumes()),
        health=health,
        logs=cast(ContainerLogs, _Logs()),
        exits=ExitNoter(OomInquiry(list), health),
        oom_watch=cast(OomWatch, _OomWatch()),
        clock=lambda: 1,
    )
    driver.on_exit = lifecycle.exited
    stopper = Stopper(registry, runtime, cast(Freezer, _Freezer()), waiters, locks, events, lambda: 1)
    health.subscribe(UnhealthyActions(stopper, events, background).act)
    unused = cast(Any, None)
    snapshotter = FakeSnapshotter()
    containers = Containers(
        paths=Paths(Path("/nowhere"), Path("/nowhere")),
        registry=registry,
        creator=unused,
        lifecycle=lifecycle,
        stopper=stopper,
        freezer=unused,
        remover=cast(Remover, remover),
        waiters=waiters,
        clients=clients,
        locks=locks,
        execs=unused,
        networks=cast(ContainerNetworks, networks),
        links=Links(registry, lambda _: "", Path),
        image_names=cast(ImageNames, _ImageNames()),
        snapshotter=cast(Snapshotter, snapshotter),
        driver=runtime,
        container_logs=unused,
        events=events,
        clock=lambda: 1,
        background=background,
        health=health,
    )
    return Bench(
        lifecycle, containers, registry, driver, networks, remover, waiters, clients, events, snapshotter, prober
    )
