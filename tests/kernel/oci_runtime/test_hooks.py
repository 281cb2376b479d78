"""Hooks: when and where each runs, what it is told, and what a failing one does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root

POINTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
STATUS = ("creating", "creating", "creating", "created", "running", "stopped")


def tell(box: Bundle, point: str) -> str:
    """A script that notes its point, its pid namespace, whether it sees the host's root, and the state it was given."""
    # startContainer runs behind pivot_root, where the only writable place that we see again is the root file system.
    log = "/log" if point == "startContainer" else f"{box.rootfs}/log"
    seen = f'"$(test -d {box.directory} && echo host || echo container)"'
    return f'echo "{point} $(readlink /proc/self/ns/uts)" {seen} "$(cat | tr -d \'\\n\')" >> {log}'


def test_hooks_run_in_order_and_in_their_namespaces(runtime: Runtime, box: Bundle) -> None:
    """All six kinds run in the specification's order, see the right root and namespaces, and get the state."""
    for point in POINTS:
        box.hook(point, tell(box, point))
    box.spec["annotations"] = {"a": "b"}
    box.shell("echo program >> /log")
    output_of(runtime.run(box))
    lines = [line for line in (box.rootfs / "log").read_text().splitlines() if line != "program"]
    words = [line.split(" ", 3) for line in lines]
    assert [word[0] for word in words] == list(POINTS)
    own = Path("/proc/self/ns/uts").readlink()
    inside = [word[1] != str(own) for word in words]
    assert inside == [False, False, True, True, False, False]
    assert [word[2] for word in words] == ["host", "host", "host", "container", "host", "host"]
    states = [json.loads(word[3]) for word in words]
    assert [state["status"] for state in states] == list(STATUS)
    assert all((state["id"], state["bundle"], state["annotations"]) == ("one", str(box.directory), {"a": "b"})
               for state in states)  # fmt: skip
    # Inside it is the pid of the container's namespace; outside the host's, and none behind the end.
    assert [state["pid"] for state in states][2:4] == [1, 1]
    assert states[0]["pid"] == states[1]["pid"] == states[4]["pid"] > 1
    assert states[5]["pid"] == 0


def test_program_runs_behind_start_container_and_not_before_start(runtime: Runtime, box: Bundle) -> None:
    """`create` runs the hooks up to createContainer, `start` the others, the program between them."""
    for point in POINTS:
        box.hook(point, tell(box, point))
    box.shell("echo program >> /log; exec sleep 100")
    assert runtime.create(box).returncode == 0
    log = box.rootfs / "log"
    assert [line.split()[0] for line in log.read_text().splitlines()] == list(POINTS[:3])
    output_of(runtime.call("start", "one"))
    deadline = time.monotonic() + 20
    while {"startContainer", "program", "poststart"} - {line.split()[0] for line in log.read_text().splitlines()}:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)  # the program writes when it likes
    order = [line.split()[0] for line in log.read_text().splitlines()]
    assert order[3] == "startContainer"
    output_of(runtime.call("delete", "--force", "one"))
    assert log.read_text().splitlines()[-1].startswith("poststop")


@pytest.mark.parametrize("point", ["prestart", "createRuntime", "createContainer"])
def test_failing_hook_of_create_takes_the_container_back(runtime: Runtime, box: Bundle, point: str) -> None:
    """Its words and exit code are in the error, the poststop hooks run, and nothing is left."""
    box.hook(point, "echo some words; exit 3")
    box.hook("poststop", f"touch {box.directory}/stopped")
    done = runtime.create(box)
    assert done.returncode == 1
    assert f"error running {point} hook #0" in done.stderr
    assert "exit status 3" in done.stderr
    assert "some words" in done.stderr
    assert (box.directory / "stopped").exists()
    assert runtime.call("state", "one").returncode == 1


@pytest.mark.parametrize("point", ["startContainer", "poststart"])
def test_failing_hook_of_start_ends_the_container(runtime: Runtime, box: Bundle, point: str) -> None:
    """`start` fails with the hook's words, and the container stops."""
    box.hook(point, "exit 4")
    box.process["args"] = ["sleep", "100"]
    assert runtime.create(box).returncode == 0
    done = runtime.call("start", "one")
    assert (done.returncode, f"error running {point} hook #0" in done.stderr) == (1, True)
    deadline = time.monotonic() + 20
    while runtime.state()["status"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.02)  # a killed process ends when it is scheduled


def test_failing_poststop_hook_is_a_warning(runtime: Runtime, box: Bundle) -> None:
    """The other poststop hooks run, and the container is gone."""
    box.hook("poststop", "exit 1")
    box.hook("poststop", f"touch {box.directory}/second")
    box.shell("true")
    done = runtime.run(box)
    assert (done.returncode, "level=warning" in done.stderr) == (0, True)
    assert (box.directory / "second").exists()


def test_hook_that_takes_too_long_is_killed(runtime: Runtime, box: Bundle) -> None:
    """A hook's timeout ends it, and the container with it."""
    box.hook("createRuntime", "exec sleep 77", timeout=1)
    done = runtime.create(box)
    assert (done.returncode, "took longer than 1 s" in done.stderr) == (1, True)


def test_hook_environment_is_its_own(runtime: Runtime, box: Bundle) -> None:
    """A hook gets the variables of the specification and no other."""
    box.spec["hooks"] = {"prestart": [{"path": "/usr/bin/env", "args": ["env"], "env": ["ONE=1"]}]}
    box.spec["hooks"]["createRuntime"] = [{"path": "/nowhere"}]
    done = runtime.create(box)
    assert (done.returncode, "/nowhere: no such file or directory" in done.stderr) == (1, True)
