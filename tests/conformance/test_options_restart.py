"""`--restart`, `--stop-signal` and `--stop-timeout`: what happens by itself, also when daemon or machine went away."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.commands import refused, shown, started
from tests.conformance.differences import sentence
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = pytest.mark.usefixtures("cli")


def eventually(is_so: Callable[[], bool], *, timeout_s: float = 20) -> None:
    """Returns when it is so; nothing announces what a daemon does by itself after its start."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def status(engine: Engine, name: str) -> str:
    """A container's state in one word."""
    return engine.ok("inspect", "-f", "{{.State.Status}}", name)


def restarts(engine: Engine, name: str) -> int:
    """How often its policy has started it."""
    return int(engine.ok("inspect", "-f", "{{.RestartCount}}", name))


@pytest.mark.parametrize(
    ("policy", "key"),
    [("nope", "restart-unknown"), ("always:3", "restart-count"), ("on-failure:-1", "restart-negative")],
)
def test_restart_policy_that_makes_no_sense_is_refused(engine: Engine, policy: str, key: str) -> None:
    """Unknown words, and counts where there are none to give."""
    answer = refused(engine, "create", "--restart", policy, "busybox")
    assert re.search(sentence(engine, key), answer), answer


def test_restart_on_failure_stops_after_its_retries(engine: Engine) -> None:
    """A success ends it at once, a failure after so many starts."""
    started(engine, "failing", "--restart", "on-failure:2", script="exit 7")
    eventually(lambda: status(engine, "failing") == "exited")
    assert (restarts(engine, "failing"), shown(engine, "failing", "{{.State.ExitCode}}")) == (2, 7)
    started(engine, "fine", "--restart", "on-failure:2", script="exit 0")
    assert engine.ok("wait", "fine") == "0"
    assert restarts(engine, "fine") == 0


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_restart_always_goes_on_until_it_is_stopped(engine: Engine, policy: str) -> None:
    """Success or not; `stop` is respected."""
    started(engine, "again", "--restart", policy, script="sleep 0.1; exit 0")
    eventually(lambda: restarts(engine, "again") >= 2)
    engine.ok("stop", "-t", "0", "again")
    assert status(engine, "again") == "exited"
    count = restarts(engine, "again")
    time.sleep(1)  # what must not happen announces nothing
    assert (restarts(engine, "again"), status(engine, "again")) == (count, "exited")


def test_stop_signal_and_timeout_are_the_containers_own(engine: Engine) -> None:
    """The signal of the container is sent, and after its seconds SIGKILL follows."""
    script = "trap 'echo heard' USR1; while :; do sleep 0.1; done"
    started(engine, "deaf", "--stop-signal", "SIGUSR1", "--stop-timeout", "1", script=script)
    before = time.monotonic()
    engine.ok("stop", "deaf")
    assert 0.9 < time.monotonic() - before < 5
    assert engine.ok("logs", "deaf") == "heard"
    assert shown(engine, "deaf", "{{.State.ExitCode}}") == 137
    assert shown(engine, "deaf", "[{{json .Config.StopSignal}}, {{.Config.StopTimeout}}]") == ["SIGUSR1", 1]
    assert "nvalid signal: NOPE" in refused(engine, "create", "--stop-signal", "NOPE", "busybox")


def test_restart_policies_are_applied_when_the_daemon_starts(engine: Engine) -> None:
    """always comes back even if it was stopped by hand, unless-stopped only if it was not; no and on-failure do not."""
    for name, policy in (("ever", "always"), ("held", "unless-stopped"), ("kept", "unless-stopped"), ("once", "no")):
        started(engine, name, "--restart", policy, "--stop-timeout", "1")
    started(engine, "failed", "--restart", "on-failure:1", script="exit 3")
    eventually(lambda: status(engine, "failed") == "exited")
    for name in ("ever", "held", "once"):
        engine.ok("stop", "-t", "0", name)
    engine.restart()
    eventually(lambda: status(engine, "ever") == "running" and status(engine, "kept") == "running")
    assert [status(engine, name) for name in ("held", "once", "failed")] == ["exited"] * 3
    assert restarts(engine, "failed") == 1


class Machine(Shoald):
    """A shoald that sees a boot id of the test's own, so that the machine can be taken for booted anew."""

    def boot(self, identifier: str) -> None:
        """From the next start on, this is the boot."""
        (self.directory / "boot").write_text(f"{identifier}\n")

    def command(self) -> list[str]:
        """The daemon in a mount namespace with that boot id."""
        mount = f"mount --bind {self.directory}/boot /proc/sys/kernel/random/boot_id"
        return [
            "unshare",
            "-m",
            "--propagation",
            "slave",
            "sh",
            "-c",
            f'{mount} && exec "$@"',
            "sh",
            *super().command(),
        ]


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine of its own with a running shoald."""
    if request.config.getoption("--engine", None) == "dockerd":
        pytest.skip("this is about shoald")
    engine = Machine()
    engine.boot("first")
    engine.start()
    engine.import_busybox()
    yield engine
    engine.close()


def test_restart_policies_are_applied_after_a_boot_of_the_machine(machine: Machine) -> None:
    """What ran has ended, even where its process id means a process again; policies start what they want back."""
    for name, policy in (("ever", "always"), ("kept", "unless-stopped"), ("tried", "on-failure"), ("once", "no")):
        started(machine, name, "--restart", policy)
    started(machine, "held", "--restart", "unless-stopped")
    machine.ok("stop", "-t", "0", "held")
    before = {name: shown(machine, name, "{{.State.Pid}}") for name in ("ever", "kept", "tried", "once")}
    machine.kill9()
    for pid in machine.supervisor_pids():
        os.kill(pid, signal.SIGKILL)
    machine.boot("second")
    machine.start()
    for name in ("ever", "kept", "tried"):
        eventually(lambda: status(machine, name) == "running")  # noqa: B023 - awaited here
        assert shown(machine, name, "{{.State.Pid}}") != before[name]
    assert (status(machine, "once"), status(machine, "held")) == ("exited", "exited")
    assert "unknown" in machine.ok("inspect", "-f", "{{.State.Error}}", "once")
    assert not any(Path(f"/proc/{pid}/root/bin/busybox").exists() for pid in before.values())


def test_restart_of_the_daemon_alone_keeps_what_runs(machine: Machine) -> None:
    """In the same boot the very process is taken up again."""
    started(machine, "going")
    before = shown(machine, "going", "{{.State.Pid}}")
    machine.kill9()
    machine.start()
    assert (status(machine, "going"), shown(machine, "going", "{{.State.Pid}}")) == ("running", before)
