"""A container's life: start, stop, kill, restart, pause, rename, wait, rm; and what inspect and ps say of it."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

OBEDIENT = "trap 'echo stopping; exit 5' TERM; echo ready; while :; do sleep 0.05; done"


def running(engine: Engine, script: str = "sleep 1000", name: str = "it", *options: str) -> str:
    """A detached container under the name `it`; returns the name."""
    engine.ok(
        "run", "-d", "--name", name, *options, "busybox", "sh", "-c", f"exec {script}" if script[0] == "s" else script
    )
    return name


def ready(engine: Engine, name: str) -> None:
    """Return when the program has said that it is ready."""
    follower = engine.popen("logs", "-f", name)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"ready\n"
    follower.kill()
    follower.communicate()


def state(engine: Engine, name: str) -> dict[str, object]:
    """The State object of inspect."""
    return dict(json.loads(engine.ok("inspect", "-f", "{{json .State}}", name)))


def test_stop_sends_sigterm_and_keeps_the_exit_code(engine: Engine) -> None:
    """A program that minds SIGTERM ends by its own hand."""
    ready(engine, running(engine, OBEDIENT))
    assert engine.ok("stop", "it") == "it"
    assert engine.ok("logs", "it").split() == ["ready", "stopping"]
    after = state(engine, "it")
    assert (after["Status"], after["Running"], after["ExitCode"]) == ("exited", False, 5)


def test_stop_kills_after_the_timeout(engine: Engine) -> None:
    """A PID 1 that ignores SIGTERM is killed when the time is over."""
    running(engine)
    begin = time.monotonic()
    engine.ok("stop", "-t", "1", "it")
    assert 0.8 < time.monotonic() - begin < 8
    assert state(engine, "it")["ExitCode"] == 137


def test_stop_twice_is_no_error(engine: Engine) -> None:
    """Stopping a stopped container succeeds and changes nothing."""
    running(engine)
    engine.ok("stop", "-t", "0", "it")
    assert engine.ok("stop", "it") == "it"
    assert engine.request("POST", "/containers/it/stop").status == 304


def test_start_of_a_running_container_changes_nothing(engine: Engine) -> None:
    """start on a running container is 304 to the API and success to the command."""
    running(engine)
    pid = state(engine, "it")["Pid"]
    assert engine.request("POST", "/containers/it/start").status == 304
    assert engine.ok("start", "it") == "it"
    assert state(engine, "it")["Pid"] == pid


def test_kill_sends_the_signal_that_is_named(engine: Engine) -> None:
    """-s takes names with and without SIG, and numbers."""
    script = "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'exit 6' INT; echo ready; while :; do sleep 0.05; done"
    ready(engine, running(engine, script))
    for signal, said in (("HUP", "hup"), ("SIGUSR1", "usr1")):
        engine.ok("kill", "-s", signal, "it")
        while said not in engine.ok("logs", "it"):
            pass
    engine.ok("kill", "-s", "2", "it")
    assert engine.ok("wait", "it") == "6"


def test_restart_gives_a_new_process(engine: Engine) -> None:
    """restart stops and starts: another process, the same container and files."""
    running(engine)
    before = state(engine, "it")
    engine.ok("exec", "it", "touch", "/kept")
    engine.ok("restart", "-t", "0", "it")
    after = state(engine, "it")
    assert after["Running"] is True
    assert after["StartedAt"] != before["StartedAt"]
    engine.ok("exec", "it", "test", "-e", "/kept")


def test_pause_freezes_and_unpause_thaws(engine: Engine) -> None:
    """A paused program does not run and says so in ps."""
    ready(engine, running(engine, "echo ready; while :; do date +%s%N > /t; sleep 0.02; done"))
    engine.ok("pause", "it")
    assert state(engine, "it")["Status"] == "paused"
    assert "(Paused)" in engine.ok("ps")
    engine.ok("unpause", "it")
    assert state(engine, "it")["Status"] == "running"
    assert engine.docker("unpause", "it").returncode == 1


def test_rename_keeps_the_container(engine: Engine) -> None:
    """The new name is known at once, the old one is free, and a taken name is refused."""
    running(engine)
    engine.ok("create", "--name", "other", "busybox")
    assert engine.docker("rename", "it", "other").returncode == 1
    engine.ok("rename", "it", "renamed")
    assert engine.inspect("renamed")["Name"] == "/renamed"
    assert engine.request("GET", "/containers/it/json").status == 404
    engine.ok("create", "--name", "it", "busybox")


def test_rm_removes_stopped_and_force_running(engine: Engine) -> None:
    """rm prints what it removed, -f ends a running container first."""
    engine.ok("create", "--name", "idle", "busybox")
    assert engine.ok("rm", "idle") == "idle"
    running(engine)
    assert engine.ok("rm", "-f", "it") == "it"
    assert engine.ok("ps", "-aq") == ""


def test_wait_conditions_of_the_api(engine: Engine) -> None:
    """not-running returns at once for a stopped one, next-exit waits for the next end, removed for the removal."""
    engine.ok("create", "--name", "it", "busybox", "sh", "-c", "exit 3")
    at_once = engine.request("POST", "/containers/it/wait?condition=not-running")
    assert (at_once.status, at_once.json["StatusCode"]) == (200, 0)
    connection = engine.connection()
    connection.request("POST", "/containers/it/wait?condition=next-exit")
    answer = connection.getresponse()  # the headers come before the end, else `docker run` could not go on
    assert answer.status == 200
    removed = engine.connection()
    removed.request("POST", "/containers/it/wait?condition=removed")
    removal = removed.getresponse()
    engine.ok("start", "it")
    assert json.loads(answer.read())["StatusCode"] == 3
    assert engine.request("POST", "/containers/it/wait").json["StatusCode"] == 3
    engine.ok("rm", "it")
    assert json.loads(removal.read())["StatusCode"] == 3
    connection.close()
    removed.close()
    assert engine.request("POST", "/containers/it/wait?condition=nonsense").status in {400, 404}


def test_wait_command_prints_each_exit_code(engine: Engine) -> None:
    """`docker wait A B` prints one code a line."""
    engine.ok("run", "-d", "--name", "aa", "busybox", "sh", "-c", "exit 1")
    engine.ok("run", "-d", "--name", "bb", "busybox", "sh", "-c", "sleep 0.2; exit 2")
    assert engine.ok("wait", "aa", "bb").split() == ["1", "2"]


def test_inspect_tells_what_was_asked_for(engine: Engine) -> None:
    """Names, command, times, limits, mounts and network settings of a running container."""
    identifier = engine.ok(
        *("run", "-d", "--name", "it", "-h", "box", "-e", "A=1", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50"),
        *("--cap-add", "NET_ADMIN", "--restart", "no", "-v", "/etc:/host:ro", "busybox", "sleep", "1000"),
    )
    got = json.loads(engine.ok("inspect", "it"))[0]
    assert (got["Id"], got["Name"], got["Path"], got["Args"]) == (identifier, "/it", "sleep", ["1000"])
    assert (got["Config"]["Hostname"], got["Config"]["Image"], got["Config"]["Cmd"]) == (
        "box",
        "busybox",
        ["sleep", "1000"],
    )
    assert "A=1" in got["Config"]["Env"]
    host = got["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    assert host["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
    mount = got["Mounts"][0]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) == ("bind", "/etc", "/host", False)
    bridge = got["NetworkSettings"]["Networks"]["bridge"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", bridge["IPAddress"])
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", bridge["MacAddress"])
    now = got["State"]
    assert (now["Status"], now["Running"], now["Paused"], now["Dead"], now["OOMKilled"]) == (
        "running",
        True,
        False,
        False,
        False,
    )
    assert now["Pid"] > 0
    assert now["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", got["Created"])


def test_inspect_size_counts_what_was_written(engine: Engine) -> None:
    """-s adds the size of the writable layer."""
    engine.ok("run", "--name", "it", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /file")
    got = json.loads(engine.ok("inspect", "-s", "it"))[0]
    assert 100_000 <= got["SizeRw"] < 200_000
    assert got["SizeRootFs"] > got["SizeRw"]


def test_ps_shows_running_and_with_a_all(engine: Engine) -> None:
    """ps lists running containers, -a all, -q ids, -n and -l the latest, --no-trunc in full."""
    running(engine)
    ended = engine.ok("run", "-d", "--name", "ended", "busybox", "sh", "-c", "exit 3")
    engine.ok("wait", ended)
    assert engine.ok("ps", "--format", "{{.Names}}") == "it"
    assert set(engine.ok("ps", "-a", "--format", "{{.Names}}").split()) == {"it", "ended"}
    assert engine.ok("ps", "-lq", "--no-trunc") == ended
    assert engine.ok("ps", "-n", "1", "--format", "{{.Names}}") == "ended"
    row = engine.ok("ps", "-a", "--filter", "name=ended", "--format", "{{.Status}}|{{.Command}}|{{.Image}}")
    assert re.fullmatch(r"Exited \(3\) .* ago\|\"sh -c 'exit 3'\"\|busybox", row)
    assert re.match(r"Up ", engine.ok("ps", "--format", "{{.Status}}"))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["status=running"], {"one"}),
        (["status=exited"], {"two"}),
        (["status=created"], {"three"}),
        (["status=running", "status=created"], {"one", "three"}),
        (["name=on"], {"one"}),
        (["name=^/?t"], {"two", "three"}),
        (["label=color"], {"one", "two"}),
        (["label=color=red"], {"one"}),
        (["label=color=red", "label=shape"], set()),
        (["exited=4"], {"two"}),
        (["ancestor=busybox"], {"one", "two", "three"}),
        (["ancestor=nothing"], set()),
        (["before=two"], {"one"}),
        (["since=two"], {"three"}),
        (["network=none"], {"two"}),
        (["expose=80/tcp"], {"one"}),
        (["volume=/data"], {"three"}),
        (["is-task=false"], {"one", "two", "three"}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_ps_filters_choose(engine: Engine, filters: list[str], expected: set[str]) -> None:
    """Each filter of ps; the same key twice means either, different keys mean both."""
    engine.ok("run", "-d", "--name", "one", "-l", "color=red", "-p", "80", "busybox", "sleep", "1000")
    two = ("run", "--name", "two", "-l", "color=blue", "--network", "none", "busybox", "sh", "-c", "exit 4")
    assert engine.docker(*two).returncode == 4
    engine.ok("create", "--name", "three", "-v", "/etc:/data", "busybox")
    arguments = [part for entry in filters for part in ("--filter", entry)]
    assert set(engine.ok("ps", "-a", "--format", "{{.Names}}", *arguments).split()) == expected


def test_ps_filter_unknown_is_refused(engine: Engine) -> None:
    """A filter that does not exist, or has no such value, is an error."""
    assert re.search("invalid filter '?nonsense'?", engine.docker("ps", "--filter", "nonsense=1").stderr, re.IGNORECASE)
    assert engine.docker("ps", "--filter", "status=nonsense").returncode == 1


def test_ps_size_shows_the_writable_layer(engine: Engine) -> None:
    """-s shows what the container wrote and, in brackets, all of it."""
    engine.ok("run", "--name", "it", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /file")
    assert re.search(r"100kB \(virtual [\d.]+MB\)", engine.ok("ps", "-as", "--format", "{{.Size}}"))


def test_top_lists_processes(engine: Engine) -> None:
    """top shows the container's processes as the host sees them, or the engine says that it does not serve it yet."""
    running(engine)
    done = engine.docker("top", "it")
    if engine.name == "shoald" and done.returncode:
        assert engine.request("GET", "/containers/it/top").status == 501
        return
    assert "sleep 1000" in done.stdout


def test_exit_of_pid_1_ends_all_its_children(engine: Engine) -> None:
    """When the first program ends, the namespace's other processes go with it."""
    engine.ok("run", "--name", "it", "busybox", "sh", "-c", "sleep 77777 & exit 0")
    assert state(engine, "it")["Status"] == "exited"
    assert state(engine, "it")["Pid"] == 0


def test_restart_policy_starts_a_failed_program_again(engine: Engine) -> None:
    """--restart on-failure:2 starts it twice more, and then gives up."""
    engine.ok("run", "-d", "--name", "it", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo try; exit 1")
    deadline = time.monotonic() + 20
    while engine.ok("logs", "it").count("try") < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    engine.ok("wait", "it")
    assert engine.ok("logs", "it").split() == ["try"] * 3
    assert engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "it") == "2 exited"


def test_crashing_container_is_restarting_and_can_be_stopped(engine: Engine) -> None:
    """Between two runs it is `restarting`, is listed among the running ones, and a stop is for good."""
    engine.ok("run", "-d", "--name", "it", "--restart", "always", "busybox", "false")
    deadline = time.monotonic() + 20
    while (seen := state(engine, "it"))["Status"] != "restarting":
        assert time.monotonic() < deadline
    assert (seen["Running"], seen["Restarting"], seen["Pid"]) == (True, True, 0)
    assert "it" in engine.ok("ps", "--format", "{{.Names}}").split()
    engine.ok("stop", "it")
    ended = state(engine, "it")
    assert (ended["Status"], ended["Restarting"], ended["ExitCode"]) == ("exited", False, 1)
    count = engine.inspect("it")["RestartCount"]
    time.sleep(1)  # what must not happen announces itself by nothing
    assert (state(engine, "it")["Status"], engine.inspect("it")["RestartCount"]) == ("exited", count)


def test_stop_of_a_paused_container_does_not_wait(engine: Engine) -> None:
    """The signal reaches a frozen container at once."""
    engine.ok("run", "-d", "--name", "it", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
    engine.ok("pause", "it")
    before = time.monotonic()
    engine.ok("stop", "-t", "30", "it")
    assert time.monotonic() - before < 10
    assert state(engine, "it")["ExitCode"] == 5


def test_restart_of_a_container_with_rm_keeps_it(engine: Engine) -> None:
    """`restart` ends and starts a container that `--rm` removes at its own end only."""
    engine.ok("run", "-d", "--rm", "--name", "it", "busybox", "sleep", "1000")
    engine.ok("restart", "-t", "0", "it")
    assert state(engine, "it")["Running"] is True
