"""What a hostile image or container tries against the runtime, and what is left when the runtime is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from shoal.linux.cgroups import detect
from tests.kernel.leaks import CGROUP_PREFIX
from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def test_waiting_container_runs_a_sealed_interpreter(runtime: Runtime, box: Bundle) -> None:
    """What is visible as /proc/PID/exe cannot be written, and is not the host's interpreter (CVE-2019-5736)."""
    assert runtime.create(box).returncode == 0
    exe = f"/proc/{runtime.state()['pid']}/exe"
    assert os.readlink(exe).startswith("/memfd:")
    with pytest.raises(OSError, match=r"Text file busy|Operation not permitted"):
        os.open(exe, os.O_WRONLY)
    output_of(runtime.call("kill", "one", "KILL"))


def test_program_that_is_the_runtime_itself_does_not_reach_the_host(runtime: Runtime, box: Bundle) -> None:
    """An entry point that links to /proc/self/exe executes the sealed copy, and changes nothing of the host's."""
    host = Path("/proc/self/exe").resolve()
    before = (host.stat().st_mtime_ns, host.stat().st_size)
    (box.rootfs / "entry").symlink_to("/proc/self/exe")
    box.process["args"] = ["/entry", "-c", "open('/proc/self/exe', 'r+b')"]
    assert runtime.run(box).returncode != 0
    assert (host.stat().st_mtime_ns, host.stat().st_size) == before


def test_no_descriptor_of_the_host_is_left(runtime: Runtime, box: Bundle) -> None:
    """Neither the program nor one that joins has a descriptor but its standard streams (CVE-2024-21626)."""
    box.shell("ls /proc/self/fd | tr '\\n' ' '; sleep 100")
    box.write()
    secret = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(secret, True)
    command = runtime.command("run", "--bundle", str(box.directory), "one")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=(secret,), text=True)
    assert process.stdout is not None
    assert process.stdout.read(8) == "0 1 2 3 "
    joined = subprocess.run(
        runtime.command("exec", "one", "ls", "/proc/self/fd"),
        pass_fds=(secret,), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    assert joined.stdout.split() == ["0", "1", "2", "3"]
    os.close(secret)
    output_of(runtime.call("kill", "one", "KILL"))
    assert process.wait(20) == 137
    process.stdout.close()


@pytest.mark.parametrize("number", range(3, 20))
def test_working_directory_by_descriptor_is_refused(runtime: Runtime, box: Bundle, number: int) -> None:
    """No /proc/self/fd/N is a directory of the host to start in, nor to exec in (CVE-2024-21626)."""
    box.process["cwd"] = f"/proc/self/fd/{number}"
    box.process["args"] = ["ls", "../../../etc/shadow"]
    done = runtime.run(box)
    assert done.returncode != 0
    assert "shadow" not in done.stdout


@pytest.mark.parametrize("target", ["/etc", "../../../../../../../../tmp"])
def test_mount_target_that_is_a_link_stays_inside(runtime: Runtime, box: Bundle, tmp_path: Path, target: str) -> None:
    """A link in the image is followed inside the image, whatever it names (CVE-2019-16884, CVE-2021-30465)."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "here").write_text("inside")
    (box.rootfs / "link").symlink_to(target)
    box.mount("/link/sub", "bind", str(tmp_path / "source"), "bind")
    box.process["args"] = ["cat", "/link/sub/here"]
    assert output_of(runtime.run(box)) == "inside"
    inner = target.rpartition("..")[2] if ".." in target else target
    assert (box.rootfs / inner.lstrip("/") / "sub").is_dir()


def test_proc_behind_a_link_is_refused(runtime: Runtime, box: Bundle) -> None:
    """A /proc of the image that leads elsewhere would make masks and parameters hit what lies there."""
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "proc").symlink_to("/tmp")
    done = runtime.run(box)
    assert (done.returncode, "must be mounted on ordinary directory" in done.stderr) == (1, True)


def test_running_container_cannot_reach_the_runtimes_state(runtime: Runtime, box: Bundle) -> None:
    """The directory of a container is for its owner alone."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    assert (runtime.root / "one").stat().st_mode & 0o077 == 0


def cgroups_left() -> list[str]:
    """Cgroups of this test's containers, with the processes in them."""
    group = detect().open(f"/{CGROUP_PREFIX}/box1")
    return [f"{path} with {group.pids()}" for path in group.directories() if os.path.isdir(path)]


@pytest.mark.parametrize("seed", range(12))
def test_create_killed_at_any_moment_leaves_what_delete_removes(runtime: Runtime, box: Bundle, seed: int) -> None:
    """After kill -9 of `create` the container is stopped or made, and `delete --force` leaves nothing."""
    box.write()
    command = runtime.command("create", "--bundle", str(box.directory), "one")
    with open(os.devnull, "r+") as null:
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        time.sleep(random.Random(seed).uniform(0.02, 0.3))  # a random moment is what this test is about
        process.send_signal(signal.SIGKILL)
        process.wait()
    if (runtime.root / "one").exists():
        deadline = time.monotonic() + 10
        while runtime.state()["status"] == "creating":
            assert time.monotonic() < deadline
            time.sleep(0.02)  # the killed process is still about to give its lock back
        assert runtime.state()["status"] in ("created", "stopped")
    output_of(runtime.call("delete", "--force", "one"))
    assert not (runtime.root / "one").exists()
    assert cgroups_left() == []


def test_start_killed_does_not_make_the_container_startable_twice(runtime: Runtime, box: Bundle) -> None:
    """Whatever became of a killed `start`, the status is what the kernel says, and a second one fits to it."""
    box.shell("echo started >> /log; exec sleep 100")
    assert runtime.create(box).returncode == 0
    process = subprocess.Popen(runtime.command("start", "one"))
    time.sleep(0.05)  # somewhere in the middle
    process.kill()
    process.wait()
    runtime.call("start", "one")
    deadline = time.monotonic() + 10
    while not (box.rootfs / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # the program writes when it likes
    assert runtime.state()["status"] == "running"
    assert (box.rootfs / "log").read_text() == "started\n"
