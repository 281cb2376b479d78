"""What is done about unhealthy containers."""

from __future__ import annotations

import pytest

from shoal.api.container import ContainerConfig, HealthConfig
from shoal.api.host_config import RestartPolicy
from shoal.engine.container.record import ContainerRecord
from shoal.engine.health.action import ON_UNHEALTHY_LABEL, action_warnings, wanted_action
from shoal.engine.health.check import health_check
from shoal.engine.health.record import ProbeResult
from shoal.errors import InvalidArgument
from tests.unit.engine.container.bench import Bench, run

FAILED = ProbeResult(2_000, 2_001, 1, "no")
CHECK = HealthConfig(test=["CMD", "true"], interval=1_000_000, retries=1)


def _config(action: str) -> ContainerConfig:
    return ContainerConfig(image="busybox", healthcheck=CHECK, labels={ON_UNHEALTHY_LABEL: action})


async def _unhealthy(bench: Bench, action: str, **host: object) -> ContainerRecord:
    bench.prober.results = [FAILED]
    record = bench.add(config=_config(action), **host)
    await bench.lifecycle.start(record)
    return record


def test_wanted_action_is_one_of_the_words() -> None:
    """Nothing without a label; a word that is no action is refused with what would be one."""
    assert wanted_action({}) is None
    assert [wanted_action({ON_UNHEALTHY_LABEL: word}) for word in ("restart", "stop", "kill", "none")] == [
        "restart", "stop", "kill", None
    ]  # fmt: skip
    for word in ("", "Restart", "reboot"):
        with pytest.raises(InvalidArgument) as caught:
            wanted_action({ON_UNHEALTHY_LABEL: word})
        assert caught.value.what == f'invalid action on unhealthy "{word}"'


def test_action_without_a_check_is_warned_of() -> None:
    """It could never be due."""
    labels = {ON_UNHEALTHY_LABEL: "stop"}
    assert action_warnings(labels, health_check(_config("stop"))) == []
    (warning,) = action_warnings(labels, None)
    assert "has no health check" in warning
    assert action_warnings({}, None) == []


def test_stop_of_an_unhealthy_container_is_final() -> None:
    """Its restart policy lets it be; the event and the record tell why."""

    async def test(bench: Bench) -> None:
        record = await _unhealthy(bench, "stop", restart_policy=RestartPolicy(name="always"))
        await bench.until(lambda: record.state.status == "exited")
        assert record.state.stopped_by_user
        assert record.exits[-1].cause == "unhealthy"
        assert record.exits[-1].health is not None
        assert record.exits[-1].health.output == "no"
        told = await bench.actions()
        assert told.index("health_status: unhealthy") < told.index("on_unhealthy: stop") < told.index("die")

    run(test)


def test_kill_of_an_unhealthy_container_is_its_policys_matter() -> None:
    """Without a policy it stays down, with one it comes back."""

    async def test(bench: Bench) -> None:
        record = await _unhealthy(bench, "kill")
        await bench.until(lambda: record.state.status == "exited")
        assert not record.state.stopped_by_user
        assert bench.driver.signals == [9]
        record.host_config.restart_policy = RestartPolicy(name="always")
        await bench.lifecycle.start(record)
        await bench.until(lambda: len(bench.driver.started) >= 3)

    run(test)


def test_restart_of_an_unhealthy_container_has_a_back_off_that_grows() -> None:
    """However quickly it is unhealthy again: one that never was healthy waits longer each time."""

    async def test(bench: Bench) -> None:
        record = await _unhealthy(bench, "restart")
        await bench.until(lambda: len(bench.driver.started) >= 3)
        assert record.restart_delay_s is not None
        assert record.restart_delay_s >= 0.2
        assert record.restart_count >= 2
        assert {end.cause for end in record.exits} == {"unhealthy"}
        await bench.until(lambda: record.is_restarting)
        await bench.containers.stop("web", signal=None, timeout_s=None)
        assert record.state.status == "exited"

    run(test)


def test_restart_gives_way_to_a_client_that_stops_the_container() -> None:
    """What a person asked for is not undone."""

    async def test(bench: Bench) -> None:
        bench.driver.obeys = (9,)
        record = await _unhealthy(bench, "restart")
        await bench.until(lambda: record.state.asked is not None)
        await bench.containers.kill("web", signal=None)
        assert record.state.status == "exited"

    run(test)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    """As with Docker, it runs on."""

    async def test(bench: Bench) -> None:
        record = await _unhealthy(bench, "none")
        await bench.until(lambda: bench.prober.probes >= 3)
        assert record.state.status == "running"

    run(test)
