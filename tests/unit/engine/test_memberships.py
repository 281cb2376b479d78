"""Connecting and disconnecting: what is left when a step fails, and what a container that left all is in."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from dataclasses import dataclass, field
from typing import cast

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import EndpointSettings, NetworkingConfig
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.memberships import Memberships
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networking import ContainerNetworks
from shoal.engine.resolving import Resolving
from shoal.errors import Conflict, Forbidden, NotFound, SyscallError
from shoal.oci.rootfs import PlainRootfs
from tests.unit.engine.networks_bench import FakeNetwork, catalog, definition, unavailable

ID = "c" * 64


@dataclass
class _FakeResolving:
    joined_ids: list[str] = field(default_factory=list)

    def changed(self) -> None: ...

    def ended(self, container_id: str) -> None: ...

    async def joined(self, record: ContainerRecord) -> None:
        self.joined_ids.append(record.id)


@dataclass
class _Bench:
    bridge: FakeNetwork
    net: FakeNetwork
    catalog: NetworkCatalog
    networks: ContainerNetworks
    memberships: Memberships
    record: ContainerRecord

    async def connect(self, network: FakeNetwork) -> None:
        await self.memberships.connect(self.record, self.catalog.find(network.name), EndpointSettings())

    async def disconnect(self, network: FakeNetwork) -> None:
        await self.memberships.disconnect(self.record, self.catalog.find(network.name))


async def _bench(*, networking: NetworkingConfig | None = None, mode: str = "bridge") -> _Bench:
    bridge, net = FakeNetwork("bridge", "d" * 64), FakeNetwork("net", "a" * 64)
    networks = catalog(bridge, make=lambda _: net)
    await networks.add(definition("net"))
    registry = ContainerRegistry(sqlite3.connect(":memory:", isolation_level=None))
    events = EventLog(lambda: 1)
    places = ContainerNetworks(networks, events, cast(Resolving, _FakeResolving()))
    record = ContainerRecord(
        id=ID,
        name="web",
        created_ns=1,
        image_id="",
        config=ContainerConfig(),
        host_config=HostConfig(network_mode=mode),
        networking=networking or NetworkingConfig(),
        path="sh",
        args=[],
        rootfs=PlainRootfs("/x"),
    )
    registry.add(record)
    return _Bench(bridge, net, networks, places, Memberships(registry, ContainerLocks(), networks, places), record)


async def _running(bench: _Bench) -> None:
    await bench.networks.allocate(bench.record)
    bench.record.move("start")
    bench.record.state.pid = 4


def test_connect_after_the_last_network_was_left_is_to_the_new_one_alone() -> None:
    """A running container that left all is in none, so that the next one leads outside."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        await bench.disconnect(bench.bridge)
        assert bench.networks.view(bench.record).endpoints == {}
        with pytest.raises(Forbidden, match="is not connected"):
            await bench.disconnect(bench.bridge)
        await bench.connect(bench.net)
        assert list(bench.record.networking.endpoints_config) == ["net"]
        assert bench.net.done == ["start", "plug", "route", "publish 0"]

    asyncio.run(scenario())


def test_container_that_left_all_networks_stays_out_of_them() -> None:
    """As with Docker: at its next start too."""

    async def scenario() -> None:
        bench = await _bench()
        await bench.disconnect(bench.bridge)
        assert bench.networks.wanted(bench.record) == {}

    asyncio.run(scenario())


def test_connect_that_fails_leaves_no_interface_behind() -> None:
    """Its address may be given to another container at once: nothing with it may stay in this one."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        bench.net.plug_failure = SyscallError("setns", "net", 3)
        with pytest.raises(SyscallError):
            await bench.connect(bench.net)
        assert bench.net.done == ["start", "unplug", "release"]
        assert list(bench.networks.wanted(bench.record)) == ["bridge"]

    asyncio.run(scenario())


def test_connect_after_which_the_ports_cannot_move_is_undone() -> None:
    """The container is out of the network again, and its ports and its way outside are where they were."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        bench.net.publish_failure = unavailable()
        with pytest.raises(type(unavailable())):
            await bench.memberships.connect(bench.record, bench.catalog.find("net"), EndpointSettings(gw_priority=1))
        assert bench.net.done == ["start", "plug", "route", "unplug", "release"]
        assert bench.bridge.done[-3:] == ["publish 0", "route", "publish 0"]
        assert list(bench.networks.wanted(bench.record)) == ["bridge"]

    asyncio.run(scenario())


def test_connect_to_one_that_has_just_ended_touches_no_other_process() -> None:
    """The number of its process may be another's already."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        bench.record.state.pid, bench.record.state.start_ticks = os.getpid(), 1
        with pytest.raises(Conflict, match="is not running"):
            await bench.connect(bench.net)
        assert bench.net.done == ["start"]

    asyncio.run(scenario())


def test_connect_takes_the_place_of_what_a_killed_daemon_left() -> None:
    """An endpoint that the record does not know goes before the new one comes."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        await bench.net.allocate(ID)
        await bench.connect(bench.net)
        assert bench.net.done == ["start", "unplug", "release", "plug"]

    asyncio.run(scenario())


def test_connect_to_a_network_that_went_meanwhile_is_not_found() -> None:
    """The record never names a network that there is not."""

    async def scenario() -> None:
        bench = await _bench()
        driver = bench.catalog.find("net")
        await bench.catalog.remove(driver)
        with pytest.raises(NotFound):
            await bench.memberships.connect(bench.record, driver, EndpointSettings())
        assert bench.record.networking.endpoints_config == {}

    asyncio.run(scenario())


def test_disconnect_of_a_network_that_was_named_by_its_id_leaves_it() -> None:
    """A container made with an id is in the network of that id."""

    async def scenario() -> None:
        asked = NetworkingConfig(endpoints_config={"aaaa": EndpointSettings()})
        bench = await _bench(networking=asked, mode="aaaa")
        assert list(bench.networks.view(bench.record).endpoints) == ["net"]
        await bench.connect(bench.net)  # a stopped one may be told again, as with Docker
        await bench.connect(bench.bridge)
        await bench.disconnect(bench.net)
        assert list(bench.networks.wanted(bench.record)) == ["bridge"]

    asyncio.run(scenario())


def test_release_gives_back_all_networks_though_one_fails() -> None:
    """The failure is told, and costs no other network its address."""

    async def scenario() -> None:
        bench = await _bench()
        await _running(bench)
        await bench.net.allocate(ID)
        bench.bridge.release_failure = unavailable()
        with pytest.raises(type(unavailable())):
            await bench.networks.release(bench.record)
        assert bench.net.endpoints == {}

    asyncio.run(scenario())
