"""Health checks where shoald goes beyond Docker, or Debian's dockerd is too old to compare: against shoald alone."""

from __future__ import annotations

import os
import signal
import time

from tests.conformance.test_health import health, wait_for_health
from tests.conformance.test_killed import exec_output, start, until
from tests.engines.shoald import Shoald

MS = 1_000_000
HANGING = "sleep 0.1; test -e /hang && sleep 600; echo once >>/n"


def probes_run(engine: Shoald, name: str, words: str) -> bool:
    """Whether a process of the container's has these words."""
    rows = engine.request("GET", f"/containers/{name}/top?ps_args=-eo%20pid,args").json["Processes"]
    return any(words in row[-1] for row in rows)


def check(test: str, **times: int) -> dict[str, object]:
    """A Healthcheck that runs `test` every 200 ms."""
    return {"Healthcheck": {"Test": ["CMD-SHELL", test], "Interval": 200 * MS, **times}}


def test_health_survives_a_killed_shoald(private_shoald: Shoald) -> None:
    """The status and the results are still there, probes go on, and the probe that nobody awaited is killed."""
    engine = private_shoald
    start(engine, "it", "sleep 1000", **check(HANGING))
    wait_for_health(engine, "healthy")
    exec_output(engine, "it", "touch", "/hang")
    until(lambda: probes_run(engine, "it", "sleep 600"), "a probe that hangs")
    before = health(engine)
    engine.kill9()
    engine.start()
    assert health(engine) == before
    exec_output(engine, "it", "rm", "/hang")
    until(lambda: health(engine)["Log"][-1] not in before["Log"], "another probe")
    assert health(engine)["Log"][-1]["ExitCode"] == 0
    assert not probes_run(engine, "it", "sleep 600")


def test_health_survives_a_killed_supervisor(private_shoald: Shoald) -> None:
    """The container's next supervisor runs the probes, and it does not become unhealthy by that."""
    engine = private_shoald
    start(engine, "it", "sleep 1000", **check("echo fine", Retries=1))
    wait_for_health(engine, "healthy")
    for pid in engine.supervisor_pids():
        os.kill(pid, signal.SIGKILL)
    before = health(engine)["Log"]
    until(lambda: len([r for r in health(engine)["Log"] if r not in before and r["ExitCode"] == 0]) >= 2, "probes")
    assert health(engine)["Status"] == "healthy"


def test_health_probe_over_its_timeout_is_killed_with_its_children(private_shoald: Shoald) -> None:
    """What a shell has started ends with it, so that probes that hang do not fill the container."""
    engine = private_shoald
    start(engine, "it", "sleep 1000", **check("sleep 500; true", Timeout=100 * MS, Retries=3))
    wait_for_health(engine, "unhealthy")
    rows = engine.request("GET", "/containers/it/top?ps_args=-eo%20pid,args").json["Processes"]
    assert len([row for row in rows if row[-1] == "sleep 500"]) <= 2


def test_health_start_interval_is_used_until_it_is_healthy(private_shoald: Shoald) -> None:
    """Within the start period probes come every start interval, however long the interval is."""
    engine = private_shoald
    times = {"Interval": 3600 * 1000 * MS, "StartPeriod": 60 * 1000 * MS, "StartInterval": 100 * MS}
    start(engine, "it", "sleep 1; touch /ok; sleep 1000", **check("test -e /ok", **times))
    begun = time.monotonic()
    now = wait_for_health(engine, "healthy")
    assert time.monotonic() - begun < 10
    assert now["FailingStreak"] == 0
    assert len(now["Log"]) > 2


def test_health_without_a_check_costs_no_row(private_shoald: Shoald) -> None:
    """A hundred containers with a check, probed often: all healthy, and no more processes than before."""
    engine = private_shoald
    names = [f"c{number}" for number in range(20)]
    for name in names:
        start(engine, name, "sleep 1000", **check("true"))
    for name in names:
        wait_for_health(engine, "healthy", name)
    start(engine, "plain", "sleep 1000")
    assert health(engine, "plain") == {}
