"""`docker exec` in a running container."""

from __future__ import annotations

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.fixture
def idle(engine: Engine) -> str:
    """A running container that does nothing."""
    engine.ok("run", "-d", "--name", "idle", "-e", "FROM=create", "-w", "/tmp", "busybox", "sleep", "1000")
    return "idle"


def test_exec_runs_in_the_same_namespaces(engine: Engine, idle: str) -> None:
    """The process sees the container's other processes, its files and its host name."""
    out = engine.ok("exec", idle, "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; hostname; pwd; echo $FROM")
    cmdline, hostname, cwd, env = out.splitlines()
    assert cmdline.startswith("sleep 1000")
    assert hostname == str(engine.inspect(idle)["Id"])[:12]
    assert (cwd, env) == ("/tmp", "create")
    links = "for n in pid net mnt ipc uts; do readlink /proc/self/ns/$n; done"
    one = engine.ok("exec", idle, "sh", "-c", links)
    assert one == engine.ok("exec", idle, "sh", "-c", links.replace("self", "1"))


def test_exec_options_env_user_workdir(engine: Engine, idle: str) -> None:
    """-e, -u and -w are for this process alone."""
    script = 'echo "$(id -u):$(id -g) $PWD $X"'
    assert engine.ok("exec", "-e", "X=1", "-u", "app", "-w", "/etc", idle, "sh", "-c", script) == "1000:1000 /etc 1"


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exec_exit_code_is_the_programs(engine: Engine, idle: str, code: int) -> None:
    """exec ends as its program did."""
    assert engine.docker("exec", idle, "sh", "-c", f"exit {code}").returncode == code


def test_exec_of_a_program_not_there_is_127(engine: Engine, idle: str) -> None:
    """Not found is 127, not executable 126, with the runtime's sentence."""
    done = engine.docker("exec", idle, "no-such-program")
    assert done.returncode in {126, 127}
    assert 'exec: "no-such-program": executable file not found in $PATH' in done.stdout + done.stderr
    done = engine.docker("exec", idle, "/etc/plain-file")
    assert done.returncode == 126
    assert "permission denied" in done.stdout + done.stderr


def test_exec_unknown_user_is_refused(engine: Engine, idle: str) -> None:
    """A user that the container's files do not have."""
    done = engine.docker("exec", "-u", "ghost", idle, "true")
    assert done.returncode in {1, 126}
    assert "unable to find user ghost: no matching entries in passwd file" in done.stdout + done.stderr


def test_exec_stdin_half_close_and_large_streams(engine: Engine, idle: str) -> None:
    """-i passes input and its end; a megabyte goes through and back."""
    assert engine.ok("exec", "-i", idle, "cat", input="hi\n") == "hi"
    data = bytes(range(256)) * 4096
    assert engine.docker_bytes("exec", "-i", idle, "cat", input=data).stdout == data


def test_exec_streams_are_kept_apart(engine: Engine, idle: str) -> None:
    """stdout and stderr of the process."""
    done = engine.docker("exec", idle, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_exec_detached_goes_on_by_itself(engine: Engine, idle: str) -> None:
    """-d returns at once and the process does its work."""
    assert engine.ok("exec", "-d", idle, "sh", "-c", "echo done > /tmp/f; sleep 1000") == ""
    assert engine.ok("exec", idle, "sh", "-c", "while [ ! -s /tmp/f ]; do sleep 0.05; done; cat /tmp/f") == "done"


def test_exec_privileged_has_all_capabilities(engine: Engine, idle: str) -> None:
    """exec has the container's capabilities, none for an ordinary user."""
    script = "grep CapEff /proc/self/status | cut -f 2"
    assert engine.ok("exec", idle, "sh", "-c", script) == "00000000a80425fb"
    assert engine.ok("exec", "-u", "app", idle, "sh", "-c", script) == "0000000000000000"


def test_exec_is_in_the_containers_cgroup(engine: Engine, idle: str) -> None:
    """What exec starts counts against the container's limits."""
    script = "grep -E 'pids|^0::' /proc/%s/cgroup | head -n 1"
    first = engine.ok("exec", idle, "sh", "-c", script % "1")
    assert engine.ok("exec", idle, "sh", "-c", script % "self") == first


def test_exec_inspect_tells_code_and_running(engine: Engine, idle: str) -> None:
    """The API's exec object: created, running, ended with its code."""
    created = engine.request("POST", f"/containers/{idle}/exec", {"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": True})
    assert created.status == 201
    identifier = created.json["Id"]
    before = engine.request("GET", f"/exec/{identifier}/json").json
    assert (before["Running"], before["ExitCode"], before["ProcessConfig"]["entrypoint"]) == (False, None, "sh")
    assert engine.request("POST", f"/exec/{identifier}/start", {"Detach": False}).status == 200
    after = engine.request("GET", f"/exec/{identifier}/json").json
    assert (after["Running"], after["ExitCode"], after["ContainerID"]) == (False, 5, engine.inspect(idle)["Id"])


def test_exec_api_refuses_what_is_wrong(engine: Engine, idle: str) -> None:
    """No command, an exec that is not there, a container that is not there."""
    answer = engine.request("POST", f"/containers/{idle}/exec", {"Cmd": []})
    assert (answer.status, answer.message) == (400, "No exec command specified")
    assert engine.request("GET", "/exec/no-such/json").status == 404
    assert engine.request("POST", "/containers/no-such/exec", {"Cmd": ["true"]}).status == 404


def test_exec_ends_with_the_container(engine: Engine, idle: str) -> None:
    """When the container is killed, so is what exec started, with 137."""
    running = engine.popen("exec", idle, "sh", "-c", "echo ready; sleep 1000")
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    engine.ok("kill", idle)
    running.communicate(timeout=20)
    assert running.returncode == 137


def test_exec_in_a_paused_container_is_refused(engine: Engine, idle: str) -> None:
    """Nothing can start in a frozen cgroup."""
    engine.ok("pause", idle)
    try:
        done = engine.docker("exec", idle, "true")
        assert done.returncode == 1
        assert "is paused, unpause the container before exec" in done.stderr
    finally:
        engine.ok("unpause", idle)
    assert engine.ok("exec", idle, "echo", "thawed") == "thawed"
