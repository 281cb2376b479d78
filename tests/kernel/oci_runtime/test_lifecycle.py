"""A container's life through the command line: what each verb does in each state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def wait_status(runtime: Runtime, wanted: str, id: str = "one") -> None:
    """Returns once the container has that status."""
    deadline = time.monotonic() + 20
    while (status := runtime.state(id)["status"]) != wanted:
        assert time.monotonic() < deadline, f"it is {status}"
        time.sleep(0.02)  # the runtime has no way to wait for a change


def wait_output(box: Bundle, text: str) -> str:
    """What the container has written, once `text` is in it."""
    deadline = time.monotonic() + 20
    while text not in (written := (box.directory / "output").read_text()):
        assert time.monotonic() < deadline, f"it wrote {written!r}"
        time.sleep(0.02)  # a file tells nobody that it grows
    return written


def test_container_goes_through_all_states(runtime: Runtime, box: Bundle) -> None:
    """create, start, kill and delete lead from one state to the next, as the specification's lifecycle has it."""
    box.spec["annotations"] = {"org.example": "yes"}
    box.shell("echo started; exec sleep 100")
    pid_file = box.directory / "pid"
    assert runtime.create(box, "--pid-file", str(pid_file)).returncode == 0
    created = runtime.state()
    assert (created["status"], created["annotations"]) == ("created", {"org.example": "yes"})
    assert created["pid"] == int(pid_file.read_text())
    assert created["bundle"] == str(box.directory)
    assert (box.directory / "output").read_text() == ""
    output_of(runtime.call("start", "one"))
    wait_output(box, "started")
    assert runtime.state()["status"] == "running"
    output_of(runtime.call("kill", "one", "KILL"))
    wait_status(runtime, "stopped")
    assert runtime.state()["pid"] == 0
    output_of(runtime.call("delete", "one"))
    assert runtime.call("state", "one").returncode == 1
    assert json.loads(output_of(runtime.call("list", "--format", "json"))) == []


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 37", 37), ("kill -9 $$", 137), ("kill -15 $$", 0)])
def test_run_ends_as_the_program(runtime: Runtime, box: Bundle, script: str, code: int) -> None:
    """`run` ends with the program's exit code, 128 and the signal's number when one ended it (but PID 1 by itself)."""
    # The first process of a pid namespace is not ended by signals that it sends itself without a handler.
    wanted = 0 if script.startswith("kill") else code
    box.shell(script)
    assert runtime.run(box).returncode == wanted
    assert not (runtime.root / "one").exists()


def test_run_foreground_hands_signals_on(runtime: Runtime, box: Bundle) -> None:
    """A signal to `run` reaches the container, which ends by it."""
    box.shell("trap 'exit 5' TERM; echo ready; while true; do sleep 0.05; done")
    box.write()
    command = runtime.command("run", "--bundle", str(box.directory), "one")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 5


def test_created_container_is_not_started_twice(runtime: Runtime, box: Bundle) -> None:
    """A second start is refused, whether the program runs or has ended."""
    box.process["args"] = ["sleep", "100"]
    assert runtime.create(box).returncode == 0
    output_of(runtime.call("start", "one"))
    again = runtime.call("start", "one")
    assert (again.returncode, "already running" in again.stderr) == (1, True)
    output_of(runtime.call("kill", "one", "9"))
    wait_status(runtime, "stopped")
    again = runtime.call("start", "one")
    assert (again.returncode, "has stopped" in again.stderr) == (1, True)


@pytest.mark.parametrize("name", ["TERM", "SIGINT", "15", "KILL"])
def test_created_container_ends_by_a_signal(runtime: Runtime, box: Bundle, name: str) -> None:
    """A container that waits for `start` does not ignore signals, as the first process of a namespace would."""
    assert runtime.create(box).returncode == 0
    output_of(runtime.call("kill", "one", name))
    wait_status(runtime, "stopped")


def test_delete_takes_a_created_container(runtime: Runtime, box: Bundle) -> None:
    """A container that was never started can be deleted, its process and its cgroup with it."""
    assert runtime.create(box).returncode == 0
    pid = runtime.state()["pid"]
    output_of(runtime.call("delete", "one"))
    assert not Path(f"/proc/{pid}/exe").exists()


def test_delete_refuses_a_running_container_without_force(runtime: Runtime, box: Bundle) -> None:
    """Only `--force` ends what runs; for an unknown container it is no error."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    refused = runtime.call("delete", "one")
    assert (refused.returncode, "is not stopped: running" in refused.stderr) == (1, True)
    output_of(runtime.call("delete", "--force", "one"))
    output_of(runtime.call("delete", "--force", "one"))


def test_exec_runs_in_the_container(runtime: Runtime, box: Bundle) -> None:
    """`exec` runs a process in all of the container's namespaces and its cgroup, and ends as it does."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    script = (
        "hostname; echo $$ > /tmp/x; readlink /proc/self/ns/pid; readlink /proc/1/ns/pid; cat /proc/self/cgroup; exit 9"
    )
    done = runtime.call("exec", "one", "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[0]) == (9, "shoal")
    assert lines[1] == lines[2]
    assert all(line.endswith("/") for line in lines[3:] if not line.startswith("0:")), lines


def test_exec_takes_its_flags(runtime: Runtime, box: Bundle) -> None:
    """User, groups, directory, environment and capabilities of an exec are its own."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    flags = ("--user", "1000:1000", "--additional-gids", "2000", "--cwd", "/tmp", "--env", "A=b", "--cap", "CAP_CHOWN")
    script = "id -u; id -G; pwd; echo $A; grep CapBnd /proc/self/status"
    done = runtime.call("exec", *flags, "one", "sh", "-c", script)
    lines = output_of(done).splitlines()
    assert lines[:4] == ["1000", "1000 2000", "/tmp", "b"]
    assert int(lines[4].split()[1], 16) & 1


def test_exec_takes_a_process_file_and_detaches(runtime: Runtime, box: Bundle) -> None:
    """`--process` names the whole process; detached, the pid is in the file, and the call is over."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    process = {**box.process, "args": ["sh", "-c", "echo hi > /tmp/hi; exec sleep 50"]}
    (box.directory / "process.json").write_text(json.dumps(process))
    pid_file = box.directory / "exec.pid"
    with (box.directory / "output").open("a") as output:
        import subprocess

        flags = ("--process", str(box.directory / "process.json"), "--detach", "--pid-file", str(pid_file))
        command = runtime.command("exec", *flags, "one")
        assert subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, check=False).returncode == 0
    pid = int(pid_file.read_text())
    assert pid in json.loads(output_of(runtime.call("ps", "--format", "json", "one")))
    assert str(pid) in output_of(runtime.call("ps", "one"))


def test_pause_freezes_and_resume_thaws(runtime: Runtime, box: Bundle) -> None:
    """A paused container says so, takes no exec, and dies by SIGKILL all the same."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    output_of(runtime.call("pause", "one"))
    assert runtime.state()["status"] == "paused"
    assert "paused" in runtime.call("exec", "one", "true").stderr
    assert runtime.call("pause", "one").returncode == 1
    output_of(runtime.call("resume", "one"))
    assert runtime.state()["status"] == "running"
    assert runtime.call("resume", "one").returncode == 1
    output_of(runtime.call("pause", "one"))
    output_of(runtime.call("kill", "one", "KILL"))
    wait_status(runtime, "stopped")


def test_update_limits_and_events_tell(runtime: Runtime, box: Bundle) -> None:
    """Limits set by flags and by a document show up in what the container's statistics say."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    output_of(runtime.call("update", "--memory", "64m", "--pids-limit", "20", "one"))
    told = json.loads(output_of(runtime.call("events", "--stats", "one")))
    assert (told["type"], told["id"]) == ("stats", "one")
    assert told["data"]["memory"]["usage"]["limit"] == 64 << 20
    assert told["data"]["pids"]["limit"] == 20
    output_of(runtime.call("update", "--resources", "-", "one", data='{"memory": {"limit": 134217728}}'))
    told = json.loads(output_of(runtime.call("events", "--stats", "one")))
    assert told["data"]["memory"]["usage"]["limit"] == 128 << 20


def test_container_without_a_pid_namespace_ends_whole(runtime: Runtime, box: Bundle) -> None:
    """Where the kernel does not end all with the first process, `kill KILL` and `delete` do."""
    box.linux["namespaces"] = [one for one in box.linux["namespaces"] if one["type"] != "pid"]
    box.shell("sleep 111 & sleep 112 & echo started; wait")
    runtime.start(box)
    wait_output(box, "started")
    pids = json.loads(output_of(runtime.call("ps", "--format", "json", "one")))
    assert len(pids) == 3
    output_of(runtime.call("kill", "one", "KILL"))
    wait_status(runtime, "stopped")
    output_of(runtime.call("delete", "one"))
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def test_create_of_one_id_by_many_makes_one(runtime: Runtime, box: Bundle) -> None:
    """Of several calls at once with the same id one succeeds, and the others leave nothing."""
    box.write()

    def create(_: int) -> int:
        with open(os.devnull, "w") as null:
            command = runtime.command("create", "--bundle", str(box.directory), "one")
            return subprocess.run(command, stdin=null, stdout=null, stderr=null, check=False).returncode

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [0, 1, 1, 1]
    assert runtime.state()["status"] == "created"
