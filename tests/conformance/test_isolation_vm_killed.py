"""Machines whose parts are killed, one after the other: state is right, and nothing is left.

Against shoald alone. The fixture's end asserts that no process, mount, cgroup, link or file stays, QEMU included.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.machines import makers_of, prepare, processes_of
from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(DOCKER is None, reason="the docker command is not installed"),
]
BOOT_S = 180
SERVICE = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def shoald() -> Iterator[Shoald]:
    """An engine of its own."""
    engine = Shoald("--ip-forward=false")
    with contextlib.ExitStack() as stack:
        engine.start()
        stack.callback(engine.close)
        engine.import_busybox()
        yield engine


@pytest.fixture
def machines(shoald: Shoald) -> Shoald:
    """The same, with a kernel for machines."""
    prepare(shoald)
    return shoald


def start(engine: Shoald, name: str, script: str, *words: str) -> None:
    """Starts a machine that runs a shell script."""
    options = [f"--name={name}", "--isolation=vm", "--memory=192m", *words]
    engine.ok("run", "-d", *options, "busybox", "sh", "-c", script, timeout_s=BOOT_S)


def wait_for(is_so: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Returns when `is_so()` is true."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.1)  # what is waited for is told nowhere


def ended(engine: Shoald, name: str) -> str:
    """ "STATUS CODE" once the container has ended."""
    wait_for(lambda: engine.ok("inspect", "-f", "{{.State.Running}}", name) == "false")
    return engine.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name)


def test_machine_goes_on_when_supervisor_and_shoald_are_killed(machines: Shoald) -> None:
    """Others take over, at once or after a restart; a process can be started in the guest, and its end is known."""
    start(machines, "goes-on", SERVICE)
    try:
        known = machines.log.count(" died")
        for pid in machines.supervisor_pids():
            os.kill(pid, signal.SIGKILL)
        # What is asked of a supervisor that nobody knows to be dead fails: it may have begun.
        wait_for(lambda: machines.log.count(" died") > known)
        assert machines.ok("exec", "goes-on", "echo", "still here") == "still here"
        machines.kill9()
        machines.start()
        assert machines.ok("exec", "goes-on", "echo", "here again") == "here again"
        machines.ok("stop", "-t", "60", "goes-on", timeout_s=90)
        assert ended(machines, "goes-on") == "exited 7"
    finally:
        machines.ok("rm", "-f", "goes-on")


@pytest.mark.parametrize("program", ["qemu-system", "virtiofsd"])
def test_machine_without_one_of_its_programs_ends_and_says_why(machines: Shoald, program: str) -> None:
    """125, as what shoal itself is to blame for; the other program does not stay."""
    start(machines, "torn", SERVICE)
    try:
        os.kill(processes_of(machines, program)[0], signal.SIGKILL)
        assert ended(machines, "torn") == "exited 125"
        assert "the virtual machine has ended" in machines.docker("logs", "torn").stderr
    finally:
        machines.ok("rm", "-f", "torn")


def test_machine_that_panics_ends_with_the_last_lines_of_its_console(machines: Shoald) -> None:
    """Who looks at the log learns what the guest's kernel had to say."""
    start(machines, "panics", "echo up; sleep 1; echo c >/proc/sysrq-trigger; sleep 600", "--privileged")
    try:
        assert ended(machines, "panics") == "exited 125"
        assert "Kernel panic" in machines.docker("logs", "panics").stderr
    finally:
        machines.ok("rm", "-f", "panics")


def test_machine_without_a_kernel_is_refused_with_the_mend(shoald: Shoald) -> None:
    """And nothing is left of the attempt but the container that was asked for."""
    with contextlib.suppress(FileNotFoundError):
        (Path(shoald.data_root) / "vm" / "kernel").unlink()
    body = {"Image": "busybox", "HostConfig": {"Isolation": "vm"}}
    answer = shoald.request("POST", "/containers/create?name=none", body)
    assert answer.status == 201, answer.body
    refused = shoald.request("POST", "/containers/none/start")
    shoald.ok("rm", "none")
    assert refused.status >= 400
    assert refused.json["message"] == "there is no kernel for virtual machines yet"
    assert refused.json["fix"] == "shoal vm setup"


def test_templates_maker_ends_with_shoald_and_leaves_nothing_half_made(machines: Shoald) -> None:
    """A kill while a machine is kept for others leaves no QEMU, and the next shoald makes the template anew."""
    for template in templates(machines):
        shutil.rmtree(template)
    making = threading.Thread(target=set_up_until_killed, args=[machines])
    making.start()
    wait_for(lambda: partial_templates(machines) != [])
    wait_for(lambda: makers_of(machines) != [])
    machines.kill9()
    making.join()
    wait_for(lambda: makers_of(machines) == [])
    machines.start()
    prepare(machines)
    assert [path.name.split("-")[1] for path in templates(machines)] == ["512m"]
    assert partial_templates(machines) == []


def test_template_that_does_not_wake_is_used_once(machines: Shoald) -> None:
    """The start fails and says why, the next one boots."""
    broken = next(path for path in templates(machines) if "-512m-" in path.name)
    (broken / "state").write_bytes(b"of no machine")
    words = ["run", "--rm", "--isolation=vm", "busybox", "echo", "up"]
    failed = machines.docker(*words, timeout_s=BOOT_S)
    assert failed.returncode == 125
    assert "the template did not wake" in failed.stderr
    assert machines.ok(*words, timeout_s=BOOT_S).endswith("up")


def set_up_until_killed(engine: Shoald) -> None:
    """Asks for a template, and hears no answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        prepare(engine)


def templates(engine: Shoald) -> list[Path]:
    """The templates of the engine."""
    return [path for path in (engine.directory / "data" / "vm" / "templates").iterdir() if path.suffix != ".partial"]


def partial_templates(engine: Shoald) -> list[Path]:
    """What is being made."""
    return list((engine.directory / "data" / "vm" / "templates").glob("*.partial"))
