"""What ended a container, told plainly: every cause brought about for real. Against shoald alone, which adds this.

The API's `exits`, `State.Ended`, the events and `shoal why exit` tell the same.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tarfile
import time
from typing import Any

import pytest

from tests.conformance.test_killed import ends_with, logs, start, state, until
from tests.engines.shoald import Shoald

MIB = 1 << 20
IDLE = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
FILL = "tail /dev/zero"


def start_ready(engine: Shoald, script: str) -> None:
    """Runs a container named `it`, and returns when its script has set its traps."""
    start(engine, "it", script)
    until(lambda: logs(engine, "it") == ["ready"], "the script")


def exits(engine: Shoald, name: str = "it") -> list[dict[str, Any]]:
    """What the API tells of the ends of a container, the latest first."""
    answer = engine.request("GET", f"/containers/{name}/exits")
    assert answer.status == 200, answer.body
    return list(answer.json["Exits"])


def last(engine: Shoald, name: str = "it") -> dict[str, Any]:
    """The last end, which inspect tells too."""
    end = exits(engine, name)[0]
    assert state(engine, name).get("Ended") == end
    return end


def pid(engine: Shoald, name: str = "it") -> int:
    """The container's first process."""
    number = state(engine, name)["Pid"]
    assert isinstance(number, int)
    return number


def is_alive(number: int) -> bool:
    """Whether there is such a process, other than a zombie."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def told(engine: Shoald, action: str, since: float) -> dict[str, str]:
    """The attributes of the first event of that action since a time."""
    target = f"/events?since={since:.9f}&until={time.time() + 0.01:.9f}"
    body = engine.request("GET", target).body.decode()
    events = [json.loads(line) for line in body.splitlines() if line.strip()]
    return dict(next(event["Actor"]["Attributes"] for event in events if event["Action"] == action))


def why(engine: Shoald, *words: str) -> str:
    """What `shoal why exit` prints."""
    command = [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{engine.socket}", "why", "exit", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=engine.environment(), timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("code", "words"), [(0, "(success)"), (3, "with exit code 3."), (127, "not found")])
def test_exit_of_its_own(shoald: Shoald, code: int, words: str) -> None:
    """The program ended by itself."""
    since = time.time()
    start(shoald, "it", f"exit {code}")
    ends_with(shoald, "it")
    end = last(shoald)
    assert (end["Cause"], end["ExitCode"], "Signal" in end) == ("exit", code, False)
    assert words in end["Sentence"]
    assert told(shoald, "die", since)["shoal.cause"] == "exit"


def test_exit_by_stop_that_is_obeyed(shoald: Shoald) -> None:
    """Its handler of SIGTERM ends it: whose doing that was is told, with the exit code."""
    since = time.time()
    start_ready(shoald, IDLE)
    shoald.request("POST", "/containers/it/stop")
    end = last(shoald)
    assert (end["Cause"], end["ExitCode"], end["Asked"]["By"], end["Asked"]["Signal"]) == ("stop", 0, "stop", "SIGTERM")
    assert told(shoald, "die", since)["shoal.askedBy"] == "stop"


def test_exit_by_stop_that_takes_too_long(shoald: Shoald) -> None:
    """The timeout was over, and SIGKILL followed."""
    start_ready(shoald, DEAF)
    shoald.request("POST", "/containers/it/stop?t=1")
    end = last(shoald)
    assert (end["Cause"], end["Signal"], end["Asked"]["Killed"]) == ("stop-timeout", "SIGKILL", True)
    assert "SIGTERM; it had not ended 1 s later, and was killed with SIGKILL" in end["Sentence"]


def test_exit_by_restart(shoald: Shoald) -> None:
    """The run before is told of while the next one runs."""
    start_ready(shoald, IDLE)
    shoald.request("POST", "/containers/it/restart?t=5")
    (end,) = exits(shoald)
    assert (end["Cause"], end["Asked"]["By"]) == ("stop", "restart")
    assert "Ended" not in state(shoald, "it")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGUSR1"])
def test_exit_by_kill_of_a_client(shoald: Shoald, name: str) -> None:
    """A signal that a client sent through the API."""
    start(shoald, "it", "sleep 1000")
    shoald.request("POST", f"/containers/it/kill?signal={name}")
    if name == "SIGUSR1":  # sleep does not handle it, and the first process of a namespace is then not ended by it
        assert state(shoald, "it")["Running"]
        return
    end = last(shoald)
    assert (end["Cause"], end["Signal"], end["Asked"]["By"]) == ("kill", name, "kill")


def test_exit_by_the_kill_of_another_process(shoald: Shoald) -> None:
    """Nobody asked shoal: it came from outside the container."""
    start(shoald, "it", "sleep 1000")
    os.kill(pid(shoald), signal.SIGKILL)
    ends_with(shoald, "it")
    end = last(shoald)
    assert (end["Cause"], end["Signal"], "Asked" in end) == ("signal", "SIGKILL", False)
    assert "from outside the container" in end["Sentence"]


def test_exit_by_another_process_behind_a_signal_that_it_survived(shoald: Shoald) -> None:
    """A SIGHUP by the API is not blamed for a SIGKILL of somebody else."""
    start_ready(shoald, "trap : HUP; echo ready; while :; do sleep 0.05; done")
    shoald.request("POST", "/containers/it/kill?signal=HUP")
    os.kill(pid(shoald), signal.SIGKILL)
    ends_with(shoald, "it")
    assert last(shoald)["Cause"] == "signal"


def crashing_program() -> bytes:
    """A program for this machine of nothing but zeroes: an access to address 0, or no instruction at all."""
    machine = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
    base, size = 0x400000, 256
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    return (header + segment).ljust(size, b"\0")


def test_exit_by_a_crash_of_its_own(shoald: Shoald) -> None:
    """A fault of the program, which the kernel answers with a signal that not even a first process escapes."""
    assert shoald.request("POST", "/containers/create?name=it", {"Image": "busybox", "Cmd": ["/crash"]}).status == 201
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("crash")
        entry.size, entry.mode = len(crashing_program()), 0o755
        tar.addfile(entry, io.BytesIO(crashing_program()))
    assert shoald.request("PUT", "/containers/it/archive?path=/", archive.getvalue()).status == 200
    shoald.request("POST", "/containers/it/start")
    ends_with(shoald, "it")
    end = last(shoald)
    assert (end["Cause"], end["Signal"] in ("SIGSEGV", "SIGILL")) == ("crash", True)
    assert "Its program crashed" in end["Sentence"]


def test_exit_by_the_oom_killer_names_victim_limit_and_use(shoald: Shoald) -> None:
    """The first process itself was killed: who, at which limit, and what the memory was used for."""
    since = time.time()
    start(shoald, "it", f"exec {FILL}", HostConfig={"Memory": 20 * MIB, "MemorySwap": 20 * MIB})
    ends_with(shoald, "it")
    end = last(shoald)
    assert (end["Cause"], end["Signal"]) == ("oom", "SIGKILL")
    oom = end["OOM"]
    assert (oom["Victim"], oom["Limit"], oom["Scope"], oom["Kills"]) == ("tail", 20 * MIB, "container", 1)
    assert oom["Memory"]["anon"] > 10 * MIB
    assert oom["VictimMemory"]["anon"] > 10 * MIB
    assert state(shoald, "it")["OOMKilled"] is True
    attributes = told(shoald, "oom", since)
    assert (attributes["shoal.victim"], attributes["shoal.limit"]) == ("tail", str(20 * MIB))
    assert told(shoald, "die", since)["shoal.cause"] == "oom"
    printed = why(shoald, "it")
    assert "its limit of 20 MiB was used up, and the kernel killed `tail`" in printed
    assert "hint: give it more: shoal update --memory 40m" in printed


def test_exit_behind_an_oom_kill_of_a_child(shoald: Shoald) -> None:
    """A child was killed and the program ended later, by itself: both are told."""
    limits = {"Memory": 20 * MIB, "MemorySwap": 20 * MIB}
    start(shoald, "it", f"{FILL}; exit 5", HostConfig=limits)
    ends_with(shoald, "it")
    end = last(shoald)
    assert (end["Cause"], end["ExitCode"], end["OOM"]["Victim"]) == ("exit", 5, "tail")
    assert "Before that, in the same run" in end["Sentence"]


def test_oom_kill_of_a_child_is_told_at_once(shoald: Shoald) -> None:
    """The event comes while the container runs on, with the victim; the end does not tell it again, inspect both."""
    since = time.time()
    start(shoald, "it", f"{FILL}; {FILL}; sleep 1000", HostConfig={"Memory": 20 * MIB, "MemorySwap": 20 * MIB})
    until(lambda: state(shoald, "it")["OOMKilled"] is True, "the notice")
    assert state(shoald, "it")["Running"]
    assert told(shoald, "oom", since)["shoal.victim"] == "tail"
    until(lambda: sleeps(shoald), "the second kill")
    shoald.request("POST", "/containers/it/kill")
    assert state(shoald, "it")["OOMKilled"] is True
    assert last(shoald)["OOM"]["Kills"] == 2
    body = shoald.request("GET", f"/events?since={since:.9f}&until={time.time() + 0.01:.9f}").body.decode()
    assert 1 <= [json.loads(line)["Action"] for line in body.splitlines() if line.strip()].count("oom") <= 2


def test_exit_of_a_container_that_is_gone(private_shoald: Shoald) -> None:
    """Of one run with --rm the end is known by name and id, if it was nobody's wish; a newer one takes the name."""
    engine = private_shoald
    limits = {"Memory": 20 * MIB, "MemorySwap": 20 * MIB, "AutoRemove": True}
    id = start(engine, "it", f"exec {FILL}", HostConfig=limits)
    until(lambda: engine.request("GET", "/containers/it/json").status == 404, "the removal")
    engine.kill9()
    engine.start()
    assert exits(engine)[0]["Cause"] == exits(engine, id[:12])[0]["Cause"] == "oom"
    assert re.match(r"it ended .* ago, and was removed\.\nIt ran out of memory", why(engine, "it"))
    start(engine, "it", "exit 0", HostConfig={"AutoRemove": True})
    until(lambda: engine.request("GET", "/containers/it/json").status == 404, "the removal")
    assert exits(engine)[0]["Cause"] == "oom"
    start(engine, "it", "sleep 1000")
    assert exits(engine) == []


def test_exit_by_memory_in_a_tmpfs(shoald: Shoald) -> None:
    """Files in memory are named as what they are."""
    limits = {"Memory": 30 * MIB, "MemorySwap": 30 * MIB, "Tmpfs": {"/t": ""}}
    start(shoald, "it", "dd if=/dev/zero of=/t/f bs=1M count=99; sleep 1000", HostConfig=limits)
    until(lambda: state(shoald, "it")["Running"] is False or sleeps(shoald), "the OOM kill")
    shoald.request("POST", "/containers/it/kill")
    oom = last(shoald)["OOM"]
    assert oom["Memory"]["shmem"] > 20 * MIB
    assert oom["Memory"]["anon"] < 10 * MIB


def sleeps(engine: Shoald) -> bool:
    rows = engine.request("GET", "/containers/it/top").json["Processes"] or []
    return any(row[-1] == "sleep 1000" for row in rows)


def test_exit_before_the_program_ran(shoald: Shoald) -> None:
    """A start that failed is told with its reason."""
    body = {"Image": "busybox", "Cmd": ["/nope"]}
    assert shoald.request("POST", "/containers/create?name=it", body).status == 201
    assert shoald.request("POST", "/containers/it/start").status in (400, 404)
    end = last(shoald)
    assert (end["Cause"], end["ExitCode"]) == ("start-failed", 127)
    assert "no such file or directory" in end["Error"]
    assert why(shoald, "it").startswith("it failed to start")


def test_exit_because_shoald_was_stopped(private_shoald: Shoald) -> None:
    """shoald stops what it would leave behind only where it is told to: else the container runs on."""
    engine = private_shoald
    start_ready(engine, IDLE)
    engine.stop()
    engine.start()
    assert state(engine, "it")["Running"]


def test_exit_while_shoald_was_killed(private_shoald: Shoald) -> None:
    """A request whose signal was sent before shoald was killed is still the cause of the end that it saw too late."""
    engine = private_shoald
    start_ready(engine, "trap 'sleep 1; exit 4' TERM; echo ready; while :; do sleep 0.05; done")
    number = pid(engine)
    connection = engine.connection()
    connection.request("POST", "/containers/it/stop?t=20")
    until(lambda: "sleep 1" in _children(number), "the handler")
    engine.kill9()
    connection.close()
    until(lambda: not is_alive(number), "the end")
    engine.start()
    end = last(engine)
    assert (end["Cause"], end["ExitCode"], end["Asked"]["By"]) == ("stop", 4, "stop")


def _children(number: int) -> str:
    done = subprocess.run(["ps", "--ppid", str(number), "-o", "args="], capture_output=True, text=True)
    return done.stdout


def test_exit_by_oom_while_shoald_was_killed(private_shoald: Shoald) -> None:
    """The next shoald finds victim and limit in the kernel's log."""
    engine = private_shoald
    limits = {"Memory": 20 * MIB, "MemorySwap": 20 * MIB}
    start(engine, "it", f"while ! test -e /go; do sleep 0.05; done; exec {FILL}", HostConfig=limits)
    number = pid(engine)
    engine.kill9()
    with open(f"/proc/{number}/root/go", "w"):
        pass
    until(lambda: not is_alive(number), "the end")
    engine.start()
    end = last(engine)
    assert (end["Cause"], end["OOM"]["Victim"], end["OOM"]["Limit"]) == ("oom", "tail", 20 * MIB)


def test_exit_that_nobody_saw(private_shoald: Shoald) -> None:
    """Everything was killed: the cause is the kernel's to tell, and where it does not, unknown; never a guess."""
    engine = private_shoald
    start(engine, "it", "sleep 1000")
    number = pid(engine)
    engine.kill9()
    for supervisor in engine.supervisor_pids():
        os.kill(supervisor, signal.SIGKILL)
    os.kill(number, signal.SIGKILL)
    until(lambda: not is_alive(number), "the end")
    engine.start()
    end = last(engine)
    # Where the machine's init has not collected it yet, the kernel still tells.
    assert (end["Cause"], end["ExitCode"]) in (("unknown", None), ("signal", 137))


def test_exits_are_bounded_and_survive(private_shoald: Shoald) -> None:
    """The last ten, the latest first; a kill of shoald loses none."""
    engine = private_shoald
    start(engine, "it", "exit 3")
    for _ in range(11):
        ends_with(engine, "it")
        engine.request("POST", "/containers/it/start")
    ends_with(engine, "it")
    before = exits(engine)
    assert len(before) == 10
    assert before == sorted(before, key=lambda end: end["FinishedAt"], reverse=True)
    engine.kill9()
    engine.start()
    assert exits(engine) == before


def test_why_exit_in_every_state(shoald: Shoald) -> None:
    """Never started, running, ended, ended before; as text and as JSON; and a container that there is not."""
    engine = shoald
    assert engine.request("POST", "/containers/create?name=it", {"Image": "busybox", "Cmd": ["true"]}).status == 201
    assert why(engine, "it") == "it was never started.\n"
    engine.request("POST", "/containers/it/start")
    ends_with(engine, "it")
    assert re.match(r"it ended .* ago\.\nIt ended by itself", why(engine, "it"))
    engine.request("POST", "/containers/it/start")
    ends_with(engine, "it")
    assert "\nBefore that:\n  20" in why(engine, "it")
    shown = json.loads(why(engine, "--format", "json", "it"))
    assert [end["Cause"] for end in shown["Exits"]] == ["exit", "exit"]
    assert why(engine, "-f", "{{(index .Exits 0).Cause}}", "it") == "exit\n"
    start(engine, "on", "sleep 1000")
    assert "on is running, and has been up for" in why(engine, "on")
    assert engine.request("GET", "/containers/none/exits").json["message"] == "No such container: none"
