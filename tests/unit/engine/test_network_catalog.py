"""The networks that there are, when they are made and removed at the same time, and when making one fails."""

from __future__ import annotations

import asyncio

import pytest

from shoal.errors import Conflict, Forbidden, NotFound, Unavailable
from tests.unit.engine.networks_bench import FakeNetwork, catalog, definition, memory, unavailable


def test_add_that_cannot_claim_touches_nothing() -> None:
    """What is another's on the host is neither changed nor removed, and the network is not remembered."""
    store = memory()
    network = FakeNetwork("net", claim_failure=Forbidden("the host has an interface eth0 already"))
    networks = catalog(store=store, make=lambda _: network)
    with pytest.raises(Forbidden):
        asyncio.run(networks.add(definition("net")))
    assert network.done == []
    assert store.definitions() == []
    assert networks.get("net") is None
    assert not networks.is_own("net")


def test_add_that_cannot_start_leaves_nothing() -> None:
    """What was made on the host goes again, and so does the memory of it."""
    store = memory()
    network = FakeNetwork("net", start_failure=unavailable())
    networks = catalog(store=store, make=lambda _: network)
    with pytest.raises(Unavailable):
        asyncio.run(networks.add(definition("net")))
    assert network.done == ["remove"]
    assert store.definitions() == []
    assert networks.get("net") is None


def test_add_of_a_name_that_is_being_added_is_a_conflict() -> None:
    """Of two clients that want the same name at once one gets it."""

    async def scenario() -> None:
        gate = asyncio.Event()
        networks = catalog(make=lambda asked: FakeNetwork(asked.name, asked.id, gate=gate))
        first = asyncio.create_task(networks.add(definition("net", "a")))
        await asyncio.sleep(0)
        with pytest.raises(Conflict):
            await networks.add(definition("net", "b"))
        gate.set()
        await first
        assert networks.find("net").inspect().id == "a" * 64

    asyncio.run(scenario())


def test_remove_lets_no_container_in_and_nobody_take_the_name_before_it_is_over() -> None:
    """A start meanwhile does not find the network; a network of the same name is not forgotten with it."""

    async def scenario() -> None:
        store = memory()
        made: list[FakeNetwork] = []

        def make(_: object) -> FakeNetwork:
            made.append(FakeNetwork("net", str(len(made)) * 64))
            return made[-1]

        networks = catalog(store=store, make=make)
        await networks.add(definition("net"))
        made[0].gate = asyncio.Event()
        removal = asyncio.create_task(networks.remove(networks.find("net")))
        await asyncio.sleep(0)
        with pytest.raises(NotFound):
            networks.find("net")
        with pytest.raises(Conflict):
            await networks.add(definition("net", "b"))
        made[0].gate.set()
        await removal
        await networks.add(definition("net", "b"))
        assert [known.id for known in store.definitions()] == ["b" * 64]

    asyncio.run(scenario())


def test_remove_twice_at_once_is_not_found() -> None:
    """The second client is told that the network has gone."""

    async def scenario() -> None:
        network = FakeNetwork("net")
        networks = catalog(make=lambda _: network)
        await networks.add(definition("net"))
        driver = networks.find("net")
        await networks.remove(driver)
        with pytest.raises(NotFound):
            await networks.remove(driver)

    asyncio.run(scenario())


def test_add_of_anothers_subnet_or_bridge_is_forbidden() -> None:
    """Two networks never share addresses or an interface, be the other one the daemon's or a user's."""
    bridge = FakeNetwork("bridge", "d" * 64, "shoal0", "172.17.0.0/16")
    networks = catalog(bridge, make=lambda asked: FakeNetwork(asked.name, asked.id, f"br-{asked.id[0]}"))
    with pytest.raises(Forbidden, match="Pool overlaps"):
        asyncio.run(networks.add(definition("net", subnet="172.17.8.0/24")))
    asyncio.run(networks.add(definition("one", "a", subnet="10.0.0.0/8")))
    with pytest.raises(Forbidden, match="Pool overlaps"):
        asyncio.run(networks.add(definition("two", "b", subnet="10.9.0.1/24")))
    with pytest.raises(Forbidden, match="same bridge name"):
        asyncio.run(networks.add(definition("two", "a", subnet="10.9.0.1/24")))


def test_start_goes_on_without_a_users_network_that_cannot_work() -> None:
    """The daemon starts, and tells which network does not work."""
    store = memory()
    store.save_definition(definition("net"))
    networks = catalog(store=store, make=lambda asked: FakeNetwork(asked.name, start_failure=unavailable()))
    assert asyncio.run(networks.start(())) == ["network net does not work: no room"]


def test_name_of_an_id_is_the_networks_name() -> None:
    """Containers may be made with a network's id; what finds no network stays as it is."""
    networks = catalog(FakeNetwork("bridge", "d" * 64))
    assert [networks.name_of(ref) for ref in ("ddd", "bridge", "default", "gone")] == ["bridge"] * 3 + ["gone"]
