"""Health checks where shoald goes beyond Docker, or Debian's dockerd is too old to compare: against shoald alone."""

from __future__ import annotations

import json
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


def actions(engine: Shoald, since: float) -> list[str]:
    """The actions of events since a time."""
    target = f"/events?since={since:.9f}&until={time.time() + 0.01:.9f}"
    body = engine.request("GET", target).body.decode()
    return [json.loads(line)["Action"] for line in body.splitlines() if line.strip()]


def unhealthy(action: str) -> dict[str, object]:
    """The settings of a container that is soon unhealthy."""
    return {**check("echo broken; exit 1", Retries=1), "Labels": {"shoal.on-unhealthy": action}, "StopTimeout": 1}


def test_on_unhealthy_restart_starts_it_again_with_a_back_off(private_shoald: Shoald) -> None:
    """It comes back each time, later and later, and a client's stop ends that."""
    engine = private_shoald
    since = time.time()
    start(engine, "it", "trap 'exit 0' TERM; while :; do sleep 0.05; done", **unhealthy("restart"))
    until(lambda: int(str(engine.inspect("it")["RestartCount"])) >= 3, "three restarts")
    told = [action for action in actions(engine, since) if action in ("on_unhealthy: restart", "die", "start")]
    assert told[:5] == ["start", "on_unhealthy: restart", "die", "start", "on_unhealthy: restart"]
    (end, *_) = engine.request("GET", "/containers/it/exits").json["Exits"]
    assert (end["Cause"], end["Health"]["Output"]) == ("unhealthy", "broken\n")
    assert time.time() - since > 0.1 + 0.2 + 0.4
    engine.request("POST", "/containers/it/stop")
    assert engine.inspect("it")["State"]["Status"] == "exited"  # type: ignore[index]


def test_on_unhealthy_stop_and_kill(private_shoald: Shoald) -> None:
    """`stop` is final whatever the policy; `kill` leaves it to the policy."""
    engine = private_shoald
    always = {"HostConfig": {"RestartPolicy": {"Name": "always"}}}
    start(engine, "stopped", "sleep 1000", **unhealthy("stop"), **always)
    start(engine, "killed", "sleep 1000", **unhealthy("kill"), **always)
    until(lambda: engine.inspect("stopped")["State"]["Status"] == "exited", "the stop")  # type: ignore[index]
    until(lambda: int(str(engine.inspect("killed")["RestartCount"])) >= 1, "the policy")
    assert engine.inspect("stopped")["RestartCount"] == 0
    stopped = engine.request("GET", "/containers/stopped/exits").json["Exits"][0]
    assert "It was ended by --on-unhealthy, with SIGTERM; it had not ended 1 s later" in stopped["Sentence"]


def test_on_unhealthy_restart_survives_a_killed_shoald(private_shoald: Shoald) -> None:
    """Killed while the container is being stopped for its health, the next shoald starts it again."""
    engine = private_shoald
    script = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"
    start(engine, "it", script, **{**unhealthy("restart"), "StopTimeout": 20})
    since = time.time()
    until(lambda: "kill" in actions(engine, since - 5), "the signal")
    engine.kill9()
    time.sleep(1.5)  # the container ends meanwhile
    engine.start()
    until(lambda: int(str(engine.inspect("it")["RestartCount"])) >= 1, "the restart")
    (end, *_) = engine.request("GET", "/containers/it/exits").json["Exits"]
    assert end["Cause"] == "unhealthy"


def test_on_unhealthy_bad_word_is_refused_and_a_useless_one_warned_of(private_shoald: Shoald) -> None:
    """400 with what would be right; a container without a check is made, with a warning."""
    engine = private_shoald
    body: dict[str, object] = {"Image": "busybox", "Labels": {"shoal.on-unhealthy": "reboot"}}
    answer = engine.request("POST", "/containers/create", body)
    assert answer.status == 400
    assert answer.json["message"].startswith('invalid action on unhealthy "reboot"')
    assert "restart, stop, kill" in answer.json["fix"]
    body["Labels"] = {"shoal.on-unhealthy": "stop"}
    answer = engine.request("POST", "/containers/create", body)
    assert answer.status == 201
    assert "has no health check" in answer.json["Warnings"][0]
