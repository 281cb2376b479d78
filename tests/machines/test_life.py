"""The life of a container and of a virtual machine: terminals, restarts, health, events, from create to remove."""

from __future__ import annotations

import contextlib
import json
import re
import time

import pexpect
import pytest

from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald
from tests.machines.modes import BOOT_S, MODES, wait_for


def test_terminal_of_the_first_process_detaches_and_attaches(shoald: Shoald) -> None:
    """`run -it` in a machine: its size, its keys, away by ^P^Q and back by attach, Ctrl-C, and the exit code."""
    assert DOCKER is not None
    words = ["run", "-it", "--name=typed", "--isolation=vm", "busybox", "sh"]
    terminal = pexpect.spawn(DOCKER, words, env=shoald.environment(), timeout=BOOT_S, dimensions=(33, 100))
    terminal.expect("# ")
    terminal.sendline("stty size")
    terminal.expect("33 100")
    terminal.sendcontrol("p")
    terminal.sendcontrol("q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    terminal = pexpect.spawn(DOCKER, ["attach", "typed"], env=shoald.environment(), timeout=60, dimensions=(44, 99))
    terminal.sendline("")
    terminal.expect("# ")
    # One that has the terminal when it speaks: a shell that has yet to start its program would get the signal.
    terminal.sendline('sh -c "echo $((20+22)); exec sleep 1000"')
    terminal.expect("42\r\n")
    terminal.sendcontrol("c")
    terminal.expect("# ")
    terminal.sendline("stty size; exit 9")
    terminal.expect("44 99")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 9


def test_life_of_both_is_told_by_the_same_events(shoald: Shoald) -> None:
    """From create to destroy, with exec, pause, kill, rename and the exit code; wait answers on each condition."""
    told = []
    for mode in MODES:
        shoald.ok(
            "create",
            f"--isolation={mode}",
            "--name=one",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 4' TERM; while :; do sleep 0.1; done",
        )
        waits = [shoald.connection() for _ in range(2)]
        with contextlib.ExitStack() as stack:
            for wait, condition in zip(waits, ("next-exit", "removed"), strict=True):
                stack.callback(wait.close)
                wait.timeout = BOOT_S
                wait.request("POST", f"/v1.44/containers/one/wait?condition={condition}")
            shoald.ok("start", "one", timeout_s=BOOT_S)
            shoald.ok("exec", "one", "true")
            for verb in ("pause", "unpause"):
                shoald.ok(verb, "one")
            shoald.ok("rename", "one", "two")
            shoald.ok("stop", "-t", "60", "two", timeout_s=90)
            assert shoald.ok("wait", "two") == "4"
            assert json.loads(waits[0].getresponse().read())["StatusCode"] == 4
            shoald.ok("rm", "two")
            assert json.loads(waits[1].getresponse().read())["StatusCode"] == 4
        told.append(_events(shoald, "two"))
    assert told[1] == told[0]


def _events(shoald: Shoald, name: str) -> list[tuple[str, str, str]]:
    """(type, action, exit code) of all that has happened to the last container of that name, in order."""
    lines = shoald.ok("events", "--since=0", f"--until={time.time():.6f}", "--format", "{{json .}}").splitlines()
    known = [json.loads(line) for line in lines]
    last = [event for event in known if event["Actor"]["Attributes"].get("name") == name][-1]["Actor"]["ID"]
    mine = [event for event in known if last in (event["Actor"]["ID"], event["Actor"]["Attributes"].get("container"))]
    return [
        (event["Type"], re.sub(":.*", "", event["Action"]), event["Actor"]["Attributes"].get("exitCode", ""))
        for event in mine
    ]


ENDED = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"
RESTARTS = {
    "on failure, at most twice": ("on-failure:2", "echo run; exit 3", 2, "exited 3"),
    "on failure, which there is none": ("on-failure", "echo run; exit 0", 0, "exited 0"),
    "never": ("no", "echo run; exit 3", 0, "exited 3"),
}


@pytest.mark.parametrize("what", RESTARTS)
def test_restart_policy_counts_the_same_in_both(shoald: Shoald, what: str) -> None:
    """How often it was started again, how it has ended, and one line of each run."""
    policy, script, count, state = RESTARTS[what]
    for mode in MODES:
        words = [
            "run",
            "-d",
            f"--name={mode}-one",
            f"--isolation={mode}",
            f"--restart={policy}",
            "busybox",
            "sh",
            "-c",
            script,
        ]
        shoald.ok(*words, timeout_s=BOOT_S)
        wait_for(
            lambda mode=mode: shoald.ok("inspect", "-f", ENDED, f"{mode}-one") == f"{state} {count}",  # type: ignore[misc]
            timeout_s=BOOT_S,
        )
        assert shoald.ok("logs", f"{mode}-one") == "\n".join(["run"] * (count + 1))


def test_restart_always_goes_on_across_a_killed_shoald(shoald: Shoald) -> None:
    """A machine that ends while nobody is there is started again by the next shoald; a stopped one is not."""
    for name in ("ends", "stopped"):
        script = "trap 'exit 0' TERM USR1; echo run; while :; do sleep 0.1; done"
        shoald.ok(
            "run",
            "-d",
            f"--name={name}",
            "--isolation=vm",
            "--memory=192m",
            "--restart=unless-stopped",
            "busybox",
            "sh",
            "-c",
            script,
            timeout_s=BOOT_S,
        )
        wait_for(lambda name=name: shoald.ok("logs", name) == "run")  # type: ignore[misc]
    shoald.ok("stop", "-t", "60", "stopped", timeout_s=90)
    shoald.ok("exec", "-d", "ends", "sh", "-c", "sleep 3; kill -USR1 1")
    shoald.kill9()
    time.sleep(6)  # nobody is there to tell of its end
    shoald.start()
    wait_for(lambda: shoald.ok("logs", "ends") == "run\nrun", timeout_s=BOOT_S)
    assert shoald.ok("inspect", "-f", "{{.State.Running}}", "ends", "stopped") == "true\nfalse"


def test_failing_health_check_is_told_alike(shoald: Shoald) -> None:
    """Unhealthy after the retries, with what the check has said and its code; one that hangs is ended."""
    for mode in MODES:
        options = ["--health-interval=500ms", "--health-retries=2", "--health-timeout=3s"]
        for name, check in (("fails", "echo broken; exit 5"), ("hangs", "sleep 1000")):
            shoald.ok(
                "run",
                "-d",
                f"--name={name}",
                f"--isolation={mode}",
                f"--health-cmd={check}",
                *options,
                "busybox",
                "sleep",
                "1000",
                timeout_s=BOOT_S,
            )
        for name, code, output in (("fails", 5, "broken\n"), ("hangs", -1, "Health check exceeded timeout (3s)")):
            wait_for(
                lambda name=name: shoald.ok("inspect", "-f", "{{.State.Health.Status}}", name) == "unhealthy",
                timeout_s=90,
            )  # type: ignore[misc]
            last = shoald.inspect(name)["State"]["Health"]["Log"][-1]  # type: ignore[index]
            assert (last["ExitCode"], last["Output"]) == (code, output)
        assert "sleep 1000" in shoald.ok("top", "hangs")
        wait_for(lambda: shoald.ok("top", "hangs").count("sleep 1000") <= 2)
        shoald.ok("rm", "-f", "fails", "hangs")
