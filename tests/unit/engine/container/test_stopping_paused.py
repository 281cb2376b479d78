"""Killing a container that is being paused."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import cast

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord, StateRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.stopping import Stopper
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.events import EventLog
from shoal.oci.rootfs import PlainRootfs
from shoal.runtime.driver import RuntimeDriver


def test_kill_pause_that_was_under_way_is_thawed_and_ends() -> None:
    """A pause that freezes the container behind the signal does not keep it from dying."""
    record = ContainerRecord(
        id="c" * 64,
        name="web",
        created_ns=1,
        image_id="sha256:0",
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(),
        networking=NetworkingConfig(),
        path="true",
        args=[],
        rootfs=PlainRootfs("/nowhere"),
        state=StateRecord(status="running", pid=1),
    )
    waiters = Waiters()

    class _Driver:
        async def signal(self, id: str, exec_id: str | None, signal: int, *, group: bool = False) -> None:
            del id, exec_id, signal, group
            # The freeze has come before the signal was acted on, and is noted only now.
            asyncio.get_running_loop().call_later(0.02, record.move, "pause")

    class _Freezer:
        async def unpause(self, record: ContainerRecord) -> None:
            record.move("unpause")
            waiters.exited(record.id, Ending(137))

    async def kill() -> None:
        registry = ContainerRegistry(sqlite3.connect(":memory:", isolation_level=None))
        registry.add(record)
        stopper = Stopper(
            registry=registry,
            driver=cast(RuntimeDriver, _Driver()),
            freezer=cast(Freezer, _Freezer()),
            waiters=waiters,
            locks=ContainerLocks(),
            events=EventLog(lambda: 1),
            clock=lambda: 1,
        )
        await asyncio.wait_for(stopper.kill(record, None), 5)

    asyncio.run(kill())
    assert record.state.status == "running"
