"""Starting containers and noting their ends, with a driver and networks that only remember what they were asked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.filters import Filters
from shoal.api.host_config import HostConfig, RestartPolicy
from shoal.api.network import NetworkingConfig
from shoal.engine.background import Background
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.lifecycle import Lifecycle, failure_code
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.events import EventLog
from shoal.engine.networking import ContainerNetworks
from shoal.errors import Conflict, InvalidArgument, NotModified
from shoal.oci.rootfs import PlainRootfs
from shoal.runtime.driver import Exit, RuntimeDriver, Started

_ID = "c" * 64


@dataclass
class _Driver:
    failure: Exception | None = None
    started: list[str] = field(default_factory=list)

    async def start(self, launch: str, wire: object) -> Started:
        del wire
        if self.failure is not None:
            raise self.failure
        self.started.append(launch)
        return Started(0x7FFFFFFF, 1_000)


@dataclass
class _Networks:
    held: set[str] = field(default_factory=set)

    async def allocate(self, record: ContainerRecord) -> None:
        self.held.add(record.id)

    def wire(self, record: ContainerRecord, endpoint: object) -> None:
        del record, endpoint

    def announce(self, record: ContainerRecord, action: str) -> None:
        del record, action

    async def release(self, record: ContainerRecord) -> None:
        self.held.discard(record.id)


class _Launches:
    def build(self, record: ContainerRecord, endpoint: object, clients: object) -> str:
        del endpoint, clients
        return record.id


@dataclass
class _Remover:
    registry: ContainerRegistry
    removed: list[str] = field(default_factory=list)

    async def remove(self, record: ContainerRecord) -> None:
        self.removed.append(record.id)
        self.registry.delete(record)


@dataclass
class _Bench:
    """A lifecycle and what it works with."""

    lifecycle: Lifecycle
    registry: ContainerRegistry
    driver: _Driver
    networks: _Networks
    remover: _Remover
    waiters: Waiters
    events: EventLog

    def add(self, **host: Any) -> ContainerRecord:
        record = ContainerRecord(
            id=_ID,
            name="web",
            created_ns=1,
            image_id="sha256:0",
            config=ContainerConfig(image="busybox"),
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


def _run(test: Callable[[_Bench], Awaitable[None]]) -> None:
    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            registry = ContainerRegistry(sqlite3.connect(":memory:", isolation_level=None))
            driver, networks, remover = _Driver(), _Networks(), _Remover(registry)
            waiters, events = Waiters(), EventLog(lambda: 1)
            lifecycle = Lifecycle(
                registry=registry,
                driver=cast(RuntimeDriver, driver),
                networks=cast(ContainerNetworks, networks),
                launches=cast(LaunchBuilder, _Launches()),
                remover=cast(Remover, remover),
                waiters=waiters,
                clients=WaitingClients(),
                locks=ContainerLocks(),
                events=events,
                background=Background(tasks),
            )
            await test(_Bench(lifecycle, registry, driver, networks, remover, waiters, events))

    asyncio.run(asyncio.wait_for(body(), 10))


def test_start_success_is_running_and_saved() -> None:
    """A started container runs, holds its addresses, and the database knows."""

    async def test(bench: _Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        assert record.state.status == "running"
        assert bench.networks.held == {_ID}
        assert await bench.actions() == ["start"]

    _run(test)


def test_start_twice_is_not_modified() -> None:
    """Starting what runs is no error and starts nothing."""

    async def test(bench: _Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        with pytest.raises(NotModified):
            await bench.lifecycle.start(record)
        assert len(bench.driver.started) == 1

    _run(test)


def test_start_failure_gives_everything_back() -> None:
    """A program that there is not leaves no address behind, and the container keeps the reason and Docker's code."""

    async def test(bench: _Bench) -> None:
        record = bench.add()
        bench.driver.failure = InvalidArgument('exec: "nope": executable file not found in $PATH')
        with pytest.raises(InvalidArgument):
            await bench.lifecycle.start(record)
        assert (record.state.status, record.state.exit_code) == ("created", 127)
        assert "executable file not found" in record.state.error
        assert bench.networks.held == set()

    _run(test)


def test_start_failure_of_auto_remove_container_removes_it() -> None:
    """`run --rm` of a program that there is not leaves no container."""

    async def test(bench: _Bench) -> None:
        record = bench.add(auto_remove=True)
        bench.driver.failure = Conflict("no")
        with pytest.raises(Conflict):
            await bench.lifecycle.start(record)
        while bench.registry.get(_ID):
            await asyncio.sleep(0)
        assert bench.remover.removed == [_ID]

    _run(test)


def test_exited_running_notes_code_and_tells_waiters() -> None:
    """The end of the process reaches the record, the network, the waiters and the events."""

    async def test(bench: _Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(_ID, "not-running")
        bench.lifecycle.exited(_ID, Exit(137, 2_000, oom_killed=True))
        assert await ending == Ending(137)
        assert (record.state.status, record.state.oom_killed) == ("exited", True)
        assert bench.networks.held == set()
        assert await bench.actions() == ["start", "oom", "die"]

    _run(test)


def test_exited_unknown_code_is_said_to_be_unknown() -> None:
    """When nobody can tell the exit code, none is made up."""

    async def test(bench: _Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(_ID, "next-exit")
        bench.lifecycle.exited(_ID, Exit(0, 2_000, known=False))
        told = await ending
        assert (told.exit_code, record.state.exit_known) == (-1, False)
        assert told.error.startswith("exit code unknown")

    _run(test)


def test_exited_by_policy_starts_again() -> None:
    """A container whose policy wants it back is started again, and the restarts are counted."""

    async def test(bench: _Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=1))
        await bench.lifecycle.start(record)
        bench.lifecycle.exited(_ID, Exit(1, 2_000))
        while len(bench.driver.started) < 2:
            await asyncio.sleep(0.01)
        assert record.restart_count == 1
        bench.lifecycle.exited(_ID, Exit(1, 3_000))

    _run(test)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ('exec: "/etc": permission denied', 126),
        ("mount `/x`: No space left on device", 128),
    ],
)
def test_failure_code_follows_docker(message: str, code: int) -> None:
    """What could not be run has Docker's exit code."""
    assert failure_code(message) == code
