"""When containers are probed, and what is told of it."""

from __future__ import annotations

import asyncio

from shoal.api.container import ContainerConfig, HealthConfig
from shoal.engine.container.record import ContainerRecord
from shoal.engine.health.record import HealthRecord, ProbeResult
from shoal.engine.health.store import HealthStore
from shoal.runtime.driver import Exit
from tests.unit.engine.container.bench import ID, Bench, run

MS = 1_000_000


def _add(bench: Bench, *, retries: int = 2) -> ContainerRecord:
    check = HealthConfig(test=["CMD", "true"], interval=MS, retries=retries)
    return bench.add(config=ContainerConfig(image="busybox", healthcheck=check))


def _health(bench: Bench) -> HealthRecord:
    health = bench.containers.health.health(ID)
    assert health is not None
    return health


def _saved(bench: Bench) -> HealthRecord | None:
    """What the database has, as the next shoald will read it."""
    return HealthStore(bench.registry._db).get(ID)


def test_container_without_a_check_is_never_probed() -> None:
    """It has no health, no timer, no row."""

    async def test(bench: Bench) -> None:
        await bench.lifecycle.start(bench.add())
        await asyncio.sleep(0.01)
        assert bench.prober.probes == 0
        assert bench.containers.health.health(ID) is None
        assert _saved(bench) is None

    run(test)


def test_started_container_is_probed_again_and_again() -> None:
    """The first success makes it healthy, which is told once and saved."""

    async def test(bench: Bench) -> None:
        await bench.lifecycle.start(_add(bench))
        assert _health(bench).status == "starting"
        await bench.until(lambda: bench.prober.probes >= 3)
        assert _health(bench).status == "healthy"
        assert (await bench.actions()).count("health_status: healthy") == 1
        saved = _saved(bench)
        assert saved is not None
        assert saved.status == "healthy"

    run(test)


def test_unhealthy_container_is_told_of_at_each_failure() -> None:
    """The event comes with the change; the listener hears of every probe that fails from then on."""

    async def test(bench: Bench) -> None:
        told: list[int] = []
        bench.containers.health.subscribe(lambda _, health: told.append(health.failing_streak))
        bench.prober.results = [ProbeResult(2_000, 2_001, 1, "no")]
        await bench.lifecycle.start(_add(bench))
        await bench.until(lambda: len(told) >= 2)
        assert told[:2] == [2, 3]
        assert (await bench.actions()).count("health_status: unhealthy") == 1

    run(test)


def test_ended_container_is_probed_no_more() -> None:
    """A probe that is under way is given up, and its result does not count."""

    async def test(bench: Bench) -> None:
        bench.prober.gate = asyncio.Event()
        record = _add(bench)
        await bench.lifecycle.start(record)
        await bench.until(lambda: bench.prober.probes == 1)
        await bench.lifecycle.note_exit(record, Exit(0, 5))
        bench.prober.gate.set()
        await asyncio.sleep(0.01)
        assert bench.prober.probes == 1
        assert (_health(bench).status, _health(bench).results) == ("unhealthy", [])

    run(test)


def test_recovered_container_is_probed_when_it_is_due() -> None:
    """Its status is the one that was saved, what hung of the last probe is killed, and the probes go on."""

    async def test(bench: Bench) -> None:
        record = _add(bench)
        await bench.lifecycle.start(record)
        await bench.until(lambda: _health(bench).status == "healthy")
        monitor = bench.containers.health
        monitor._stop(ID)
        before = bench.prober.probes
        await monitor.recovered(record, ("e1",))
        assert bench.prober.killed == ["e1"]
        assert _health(bench).status == "healthy"
        await bench.until(lambda: bench.prober.probes > before)

    run(test)


def test_removed_containers_health_goes_with_its_row() -> None:
    """The database keeps nothing of it, in the same transaction."""

    async def test(bench: Bench) -> None:
        record = _add(bench)
        await bench.lifecycle.start(record)
        await bench.lifecycle.note_exit(record, Exit(0, 5))
        assert _saved(bench) is not None
        bench.registry.delete(record)
        assert _saved(bench) is None

    run(test)
