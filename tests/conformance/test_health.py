"""Health checks: what is probed when, what comes of it, and who sees it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.conformance.test_events import between
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

S = 1_000_000_000
NEVER = "0001-01-01T00:00:00Z"


def health(engine: Engine, ref: str = "it") -> dict[str, Any]:
    """`State.Health` of a container."""
    state = engine.inspect(ref)["State"]
    assert isinstance(state, dict)
    return dict(state.get("Health") or {})


def wait_for_health(engine: Engine, status: str, ref: str = "it", timeout_s: float = 20) -> dict[str, Any]:
    """The health once its status is `status`."""
    deadline = time.monotonic() + timeout_s
    while (now := health(engine, ref)).get("Status") != status:
        assert time.monotonic() < deadline, f"not {status} after {timeout_s} s: {now}"
        time.sleep(0.05)
    return now


def run(engine: Engine, *flags: str, command: str = "sleep 1000") -> str:
    """The id of a container named `it` with a health check of the given flags."""
    return engine.ok("run", "-d", "--name", "it", *flags, "busybox", "sh", "-c", command)


def test_health_success_is_starting_then_healthy(engine: Engine) -> None:
    """From the start to the first success it is starting; ps, inspect and an event tell of the change."""
    since = time.time()
    run(engine, "--health-cmd", "echo fine; echo err >&2", "--health-interval", "1s")
    assert health(engine) == {"Status": "starting", "FailingStreak": 0, "Log": []} or engine.name == "dockerd"
    assert "(health: starting)" in engine.ok("ps", "--format", "{{.Status}}")
    now = wait_for_health(engine, "healthy")
    assert now["FailingStreak"] == 0
    (result,) = now["Log"][:1]
    assert (result["ExitCode"], sorted(result["Output"].split())) == (0, ["err", "fine"])
    assert result["Start"] < result["End"]
    assert "(healthy)" in engine.ok("ps", "--format", "{{.Status}}")
    told = between(engine, since, "type=container")
    assert "container health_status: healthy" in told
    assert "container exec_create: /bin/sh -c echo fine; echo err >&2" in told
    assert "container exec_start: /bin/sh -c echo fine; echo err >&2" in told
    assert "container exec_die" in told


def test_health_failures_make_unhealthy_and_a_success_healthy_again(engine: Engine) -> None:
    """The streak is counted up to the retries and beyond, and is over with the first success."""
    since = time.time()
    run(engine, "--health-cmd", "test -e /ok", "--health-interval", "300ms", "--health-retries", "2")
    now = wait_for_health(engine, "unhealthy")
    assert now["FailingStreak"] >= 2
    assert "(unhealthy)" in engine.ok("ps", "--format", "{{.Status}}")
    engine.ok("exec", "it", "touch", "/ok")
    assert wait_for_health(engine, "healthy")["FailingStreak"] == 0
    changes = [event for event in between(engine, since) if "health_status" in event]
    assert changes == ["container health_status: unhealthy", "container health_status: healthy"]


def test_health_keeps_five_results(engine: Engine) -> None:
    """Older results are forgotten."""
    run(engine, "--health-cmd", "date +%s%N >>/n; wc -l </n", "--health-interval", "100ms")
    deadline = time.monotonic() + 20
    while int((log := health(engine)["Log"])[-1]["Output"] if health(engine)["Log"] else 0) < 7:
        assert time.monotonic() < deadline, log
        time.sleep(0.1)
    assert len(log) == 5
    numbers = [int(result["Output"]) for result in log]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_health_output_is_cut_at_4096_bytes(engine: Engine) -> None:
    """More is thrown away, marked by dots, and holds no probe up."""
    run(engine, "--health-cmd", "yes | head -c 300000", "--health-interval", "300ms")
    now = wait_for_health(engine, "healthy")
    assert now["Log"][0]["Output"] == ("y\n" * 2048) + "..."


def test_health_probe_over_its_timeout_is_a_failure_and_killed(engine: Engine) -> None:
    """Its result says so with the exit code -1, and its process does not stay."""
    run(engine, "--health-cmd", "sleep 500", "--health-interval", "300ms", "--health-timeout", "1s",
        "--health-retries", "1")  # fmt: skip
    now = wait_for_health(engine, "unhealthy")
    assert now["Log"][0]["ExitCode"] == -1
    assert now["Log"][0]["Output"].startswith("Health check exceeded timeout (1s)")
    probes = [line for line in engine.ok("top", "it", "-eo", "pid,args").splitlines() if "sleep 500" in line]
    assert len(probes) <= 2  # the one that was killed may not be gone yet when the next begins


def test_health_probe_that_cannot_run_is_a_failure(engine: Engine) -> None:
    """A program that is not there is a failed check, with the reason."""
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "Healthcheck": {"Test": ["CMD", "/nope"], "Interval": S // 4}}
    assert engine.request("POST", "/containers/create?name=it", body).status == 201
    engine.ok("start", "it")
    now = wait_for_health(engine, "unhealthy")
    assert now["Log"][0]["ExitCode"] != 0
    assert "no such file or directory" in now["Log"][0]["Output"]


def test_health_start_period_counts_no_failure(engine: Engine) -> None:
    """Until its end, or the first success, the streak stays at 0."""
    more = () if engine.name == "dockerd" else ("--health-start-interval", "100ms")
    run(engine, "--health-cmd", "exit 1", "--health-interval", "200ms", "--health-start-period", "1h",
        "--health-retries", "1", *more)  # fmt: skip
    deadline = time.monotonic() + 20
    while len((now := health(engine))["Log"] or ()) < 3:
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    assert (now["Status"], now["FailingStreak"]) == ("starting", 0)


def test_health_pause_stops_probes_and_unpause_goes_on(engine: Engine) -> None:
    """A paused container is called unhealthy, is not probed, and is healthy with the next success."""
    run(engine, "--health-cmd", "true", "--health-interval", "300ms")
    wait_for_health(engine, "healthy")
    engine.ok("pause", "it")
    paused = health(engine)
    assert paused["Status"] == "unhealthy"
    assert "(Paused)" in engine.ok("ps", "--format", "{{.Status}}")
    assert "healthy)" not in engine.ok("ps", "--format", "{{.Status}}")
    time.sleep(0.7)
    assert health(engine)["Log"] == paused["Log"]
    engine.ok("unpause", "it")
    assert wait_for_health(engine, "healthy")["Log"][-1] != paused["Log"][-1]


def test_health_stop_and_start_begin_anew(engine: Engine) -> None:
    """A stopped container is unhealthy with its results kept; started again it is starting, then healthy."""
    run(engine, "--health-cmd", "true", "--health-interval", "300ms")
    wait_for_health(engine, "healthy")
    engine.ok("stop", "-t", "0", "it")
    stopped = health(engine)
    assert stopped["Status"] == "unhealthy"
    assert stopped["Log"]
    engine.ok("start", "it")
    assert health(engine)["Status"] == "starting"
    wait_for_health(engine, "healthy")


@pytest.mark.parametrize("flags", [(), ("--no-healthcheck",)])
def test_health_without_a_check_there_is_none(engine: Engine, flags: tuple[str, ...]) -> None:
    """No check, or `--no-healthcheck`: no health in inspect and none in ps."""
    run(engine, *flags)
    assert health(engine) == {}
    assert "health" not in engine.ok("ps", "--format", "{{.Status}}")


def test_health_filter_of_ps(engine: Engine) -> None:
    """`health=` chooses by status, `none` those without a check; another word is refused."""
    engine.ok("run", "-d", "--name", "plain", "busybox", "sleep", "1000")
    run(engine, "--health-cmd", "true", "--health-interval", "300ms")
    wait_for_health(engine, "healthy")
    engine.ok(
        "run", "-d", "--name", "slow", "--health-cmd", "true", "--health-interval", "1h", "busybox", "sleep", "99"
    )
    shown = {
        status: engine.ok("ps", "--filter", f"health={status}", "--format", "{{.Names}}").split()
        for status in ("none", "starting", "healthy", "unhealthy")
    }
    assert shown == {"none": ["plain"], "starting": ["slow"], "healthy": ["it"], "unhealthy": []}
    refused = engine.docker("ps", "--filter", "health=fine")
    assert refused.returncode == 1
    assert "Unrecognised filter value for health: fine" in refused.stderr


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ({"Interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Timeout": 999_999}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"StartPeriod": -1}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_health_config_that_makes_no_sense_is_refused(engine: Engine, check: dict[str, int], sentence: str) -> None:
    """Times under a millisecond and negative counts are a 400 in Docker's words."""
    body = {"Image": "busybox", "Healthcheck": {"Test": ["CMD", "true"], **check}}
    answer = engine.request("POST", "/containers/create", body)
    assert (answer.status, answer.json["message"]) == (400, sentence)


@pytest.fixture
def checked_image(images: Engine) -> str:
    """An image with a health check of its own."""
    images.ok("create", "--name", "base", "busybox", "sleep", "1000")
    change = "HEALTHCHECK --interval=300ms --timeout=2s --retries=7 CMD echo image"
    images.ok("commit", "-c", change, "-c", 'CMD ["sleep", "1000"]', "base", "checked:1")
    return "checked:1"


def test_health_image_and_flags_are_merged(images: Engine, checked_image: str) -> None:
    """A check of the image runs; each flag takes the place of the image's, NONE of the whole."""
    images.ok("run", "-d", "--name", "it", checked_image)
    assert wait_for_health(images, "healthy")["Log"][0]["Output"] == "image\n"
    images.ok("create", "--name", "other", "--health-timeout", "5s", checked_image)
    config = images.inspect("other")["Config"]
    assert isinstance(config, dict)
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "echo image"],
        "Interval": 300_000_000,
        "Timeout": 5 * S,
        "Retries": 7,
    }
    images.ok("run", "-d", "--name", "off", "--no-healthcheck", checked_image)
    assert health(images, "off") == {}


def test_health_events_are_json_with_the_actor(engine: Engine) -> None:
    """A change of health is an event of the container, with its name, image and labels."""
    since = time.time()
    run(engine, "--health-cmd", "true", "--health-interval", "200ms", "-l", "color=red")
    wait_for_health(engine, "healthy")
    bounds = ("--since", f"{since:.9f}", "--until", f"{time.time() + 0.01:.9f}")
    lines = engine.ok("events", *bounds, "--filter", "event=health_status", "--format", "{{json .}}").splitlines()
    (event,) = map(json.loads, lines)
    assert event["status"] == event["Action"] == "health_status: healthy"
    attributes = event["Actor"]["Attributes"]
    assert (attributes["name"], attributes["image"], attributes["color"]) == ("it", "busybox", "red")
