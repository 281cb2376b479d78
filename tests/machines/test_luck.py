"""Bad luck: parts that are killed or hang at any time, kernels that are unfit; state is right, nothing is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.conformance.machines import processes_of
from tests.engines.shoald import Shoald
from tests.machines.modes import BOOT_S, wait_for

SERVICE = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"


def start(shoald: Shoald, name: str, *options: str) -> None:
    """A machine that runs until it is asked to end."""
    words = ["run", "-d", f"--name={name}", "--isolation=vm", "--memory=192m", *options]
    shoald.ok(*words, "busybox", "sh", "-c", SERVICE, timeout_s=BOOT_S)
    wait_for(lambda: shoald.ok("logs", name) == "up")


def state(shoald: Shoald, name: str) -> str:
    """ "STATUS CODE" of a container."""
    return shoald.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name)


def test_machine_that_hangs_is_given_up_after_three_minutes(shoald: Shoald) -> None:
    """Its QEMU stands still: the container ends with 125 and says so."""
    start(shoald, "hangs")
    (qemu, *_) = processes_of(shoald, "qemu-system")
    os.kill(qemu, signal.SIGSTOP)
    wait_for(lambda: state(shoald, "hangs") == "exited 125", timeout_s=300)
    assert "the guest has not answered for 180 s" in shoald.docker("logs", "hangs").stderr
    assert processes_of(shoald, "qemu-system") == processes_of(shoald, "virtiofsd") == []


def test_machine_that_hangs_is_stopped_and_removed_like_any_other(shoald: Shoald) -> None:
    """stop's patience ends with SIGKILL, which needs no answer of the guest's; so does rm -f."""
    for name, verb in (("one", ["stop", "-t", "1", "one"]), ("two", ["rm", "-f", "two"]), ("three", ["kill", "three"])):
        start(shoald, name)
        for qemu in processes_of(shoald, "qemu-system"):
            os.kill(qemu, signal.SIGSTOP)
        shoald.ok(*verb, timeout_s=30)
        wait_for(lambda: processes_of(shoald, "qemu-system") == [])
    assert (state(shoald, "one"), state(shoald, "three")) == ("exited 137", "exited 137")


@pytest.mark.parametrize("victim", ["supervisor", "shoald", "both", "qemu-system", "virtiofsd"])
def test_start_of_a_machine_survives_or_fails_whole_when_a_part_is_killed(shoald: Shoald, victim: str) -> None:
    """At several moments of the start: afterwards it runs, or does not, as inspect says; and it can be started."""
    shoald.ok("create", "--name=one", "--isolation=vm", "--memory=192m", "busybox", "sh", "-c", SERVICE)
    for delay_s in (0.05, 0.3, 1.0):
        client = shoald.popen("start", "one")
        time.sleep(delay_s)  # the moment is what the case is about
        if victim in ("qemu-system", "virtiofsd"):
            for pid in processes_of(shoald, victim):
                with contextlib.suppress(ProcessLookupError):  # virtiofsd's parent and child go together
                    os.kill(pid, signal.SIGKILL)
        supervisors = shoald.supervisor_pids()
        if victim in ("shoald", "both"):
            shoald.kill9()
        if victim in ("supervisor", "both"):
            for pid in supervisors:
                os.kill(pid, signal.SIGKILL)
        if victim in ("shoald", "both"):
            shoald.start()
        client.communicate(timeout=BOOT_S)
        if shoald.ok("inspect", "-f", "{{.State.Running}}", "one") == "true":
            wait_for(lambda: shoald.docker("exec", "one", "true").returncode == 0)
        else:
            assert processes_of(shoald, "qemu-system") == processes_of(shoald, "virtiofsd") == []
            shoald.ok("start", "one", timeout_s=BOOT_S)
        shoald.ok("kill", "one")
        wait_for(lambda: state(shoald, "one") == "exited 137")


def test_paused_and_restarted_machines_are_found_again(shoald: Shoald) -> None:
    """A shoald that is stopped, or killed, finds each machine as it was: running, paused; exec and stop work."""
    start(shoald, "runs")
    start(shoald, "paused")
    shoald.ok("pause", "paused")
    for leave in (shoald.stop, shoald.kill9):
        leave()
        shoald.start()
        wait_for(lambda: state(shoald, "runs") == "running 0")
        wait_for(lambda: state(shoald, "paused") == "paused 0")
        assert shoald.ok("exec", "runs", "echo", "here") == "here"
    shoald.ok("unpause", "paused")
    assert shoald.ok("exec", "paused", "echo", "here") == "here"
    for name in ("runs", "paused"):
        shoald.ok("stop", "-t", "60", name, timeout_s=90)
        assert state(shoald, name) == "exited 7"


def test_restart_policy_starts_a_machine_whose_qemu_was_killed(shoald: Shoald) -> None:
    """125 is a failure like any other."""
    start(shoald, "again", "--restart=on-failure:2")
    (qemu,) = processes_of(shoald, "qemu-system")
    os.kill(qemu, signal.SIGKILL)
    wait_for(
        lambda: shoald.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again") == "1 running",
        timeout_s=BOOT_S,
    )
    wait_for(lambda: shoald.docker("logs", "again").stdout.split() == ["up", "up"])


def test_kernel_without_virtiofs_is_refused_by_setup(shoald: Shoald, tmp_path: Path) -> None:
    """With the name of what it lacks and the mend; the kernel that was there stays."""
    here = Path(os.path.realpath(Path(shoald.data_root, "vm", "kernel")))
    shutil.copytree(here, tmp_path / "kernel", symlinks=True)
    for module in (tmp_path / "kernel").rglob("virtiofs.ko*"):
        module.unlink()
    refused = shoald.request("POST", f"/vm/setup?kernel={tmp_path}/kernel")
    assert refused.status == 503
    assert "cannot run in a machine of ours" in refused.json["message"]
    assert refused.json["fix"] == "shoal vm setup, for Debian's cloud kernel"
    assert shoald.request("GET", "/vm").json["Ready"]
