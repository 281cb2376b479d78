"""Ways out through shoal's own processes: its interpreter, its descriptors, the child that is to become an exec."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.engines.shoald import Shoald
from tests.escapes import inside
from tests.escapes.cells import PYTHON, PYTHON_BINDS, attempts, exec, output, run, start

OWN_STREAM = r"/dev/(null|pts/\d+|console|tty)$|/\S+/(exec-\w+-)?(stdin|stdout|stderr)$"
OVERWRITE = """
for f in /proc/[0-9]*/exe /proc/self/exe; do
    case $(readlink $f) in *busybox*) ;; *) (echo owned > $f) 2>/dev/null && echo overwrote $f;; esac
done
"""


def fingerprint() -> tuple[str, int]:
    """What the host's interpreter contains, and when it was changed last."""
    path = Path(PYTHON)
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


@pytest.mark.parametrize("settings", [{}, {"CapAdd": ["SYS_PTRACE"]}, {"SecurityOpt": ["seccomp=unconfined"]}])
def test_interpreter_is_not_overwritten_through_proc(shoald: Shoald, settings: dict[str, Any]) -> None:
    """An entrypoint or exec that is /proc/self/exe runs a sealed copy, which nobody writes (CVE-2019-5736)."""
    before = fingerprint()
    start(shoald, "cell", ["sh", "-c", f"while :; do {OVERWRITE} done"], settings)
    exec(shoald, "cell", ["ln", "-s", "/proc/self/exe", "/bin/evil"])
    for command in (["/proc/self/exe"], ["/bin/evil", "-c", "print(1)"], ["/proc/self/exe", "-c", "import os"]) * 4:
        exec(shoald, "cell", command)
        run(shoald, command, settings)
    assert "overwrote" not in output(shoald, "cell")
    assert fingerprint() == before


@pytest.mark.parametrize("settings", [{}, {"SecurityOpt": ["seccomp=unconfined"]}])
def test_child_before_its_exec_gives_nothing_away(shoald: Shoald, settings: dict[str, Any]) -> None:
    """A process in the container that waits for shoal's child finds no memory, descriptor, root or trace of it."""
    host = {**settings, "Binds": PYTHON_BINDS}
    start(shoald, "cell", [PYTHON, "-ISc", inside.WATCH_SETUP], host)
    for number in range(40):
        exec(shoald, "cell", ["true"], User="1000" if number % 2 else "")
    exec(shoald, "cell", ["touch", "/tmp/stop"])
    shoald.request("POST", "/containers/cell/wait")
    told = json.loads(output(shoald, "cell").strip().splitlines()[-1])
    assert told.pop("seen") > 0, "the attacker never saw the child: this test proves nothing"
    assert told == {}


@pytest.mark.parametrize("terminal", [False, True])
def test_no_descriptor_of_the_host_is_left(shoald: Shoald, terminal: bool) -> None:
    """Run and exec have three descriptors: null, FIFOs or a terminal, none of which leads to anything else."""
    script = "ls -l /proc/$$/fd"
    start(shoald, "running", ["sleep", "1000"], Tty=terminal)
    for text in (
        run(shoald, ["sh", "-c", script], Tty=terminal)[1],
        exec(shoald, "running", ["sh", "-c", script], Tty=terminal)[1],
        exec(shoald, "running", ["sh", "-c", script], Tty=terminal, Privileged=True)[1],
    ):
        links = dict(re.findall(r" (\d+) -> (\S+)", text))
        assert {number for number in links if number != "10"} == {"0", "1", "2"}, text  # 10: the shell's own terminal
        assert all(re.match(OWN_STREAM, link) for link in links.values()), text


@pytest.mark.parametrize("form", ["/proc/self/fd/{}", "/proc/self/fd/{}/../../..", "/proc/1/fd/{}", "/dev/fd/{}"])
def test_working_directory_by_a_leaked_descriptor_is_refused(shoald: Shoald, form: str) -> None:
    """No number of a descriptor makes a working directory on the host (CVE-2024-21626), for run and for exec."""
    start(shoald, "running", ["sleep", "1000"])
    script = "pwd; ls -a . .. ../.. ../../.. ../../../.. 2>/dev/null"
    here = shoald.directory.name
    for number in (0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 20):
        place = form.format(number)
        for code, text in (
            run(shoald, ["sh", "-c", script], WorkingDir=place),
            exec(shoald, "running", ["sh", "-c", script], WorkingDir=place),
        ):
            assert here not in text, (place, text)
            assert "hostfs" not in text
            assert code is not None or text


def test_processes_of_shoal_are_not_to_be_seen(shoald: Shoald) -> None:
    """In its own PID namespace a container has process 1 and what it started: nobody to signal or to trace."""
    code, text = run(shoald, ["sh", "-c", "ls /proc | grep '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
    assert code == 0
    assert "shoal" not in text


@pytest.mark.parametrize("user", ["0", "1000"])
def test_processes_of_shoal_seen_from_the_hosts_pids_give_nothing_away(shoald: Shoald, user: str) -> None:
    """With `--pid host` the supervisor and shoald are in sight; no memory, descriptor, root or trace of them is."""
    program = (
        inside.FRAME
        + f"""
SEIZE = 0x4206
for pid in {[*shoald.supervisor_pids(), shoald.pid]}:
    attempt(f"mem {{pid}}", opened, f"/proc/{{pid}}/mem", os.O_RDWR)
    attempt(f"environ {{pid}}", opened, f"/proc/{{pid}}/environ", os.O_RDONLY)
    attempt(f"root {{pid}}", os.listdir, f"/proc/{{pid}}/root/")
    attempt(f"cwd {{pid}}", os.listdir, f"/proc/{{pid}}/cwd/")
    attempt(f"fd {{pid}}", os.readlink, f"/proc/{{pid}}/fd/0")
    attempt(f"exe {{pid}}", opened, f"/proc/{{pid}}/exe", os.O_WRONLY)
    attempt(f"seize {{pid}}", call, 101 if os.uname().machine == "x86_64" else 117, SEIZE, pid, 0, 0)
    if {user} != 0:
        attempt(f"kill {{pid}}", os.kill, pid, 9)
"""
        + inside.TELL
    )
    start(shoald, "cell", [PYTHON, "-ISc", program], {"PidMode": "host", "Binds": PYTHON_BINDS}, User=user)
    shoald.request("POST", "/containers/cell/wait")
    told = json.loads(output(shoald, "cell").strip().splitlines()[-1])
    assert [name for name, outcome in told.items() if outcome == "done"] == []


def test_sockets_of_the_host_are_out_of_reach(shoald: Shoald) -> None:
    """Abstract unix sockets and loopback belong to the network namespace; shoald's own socket is no file inside."""
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as local:
        abstract.bind(f"\0escape-{os.getpid()}")
        abstract.listen()
        local.bind(("127.0.0.1", 0))
        local.listen()
        program = inside.FRAME + f"""
def reach(family, address):
    with socket.socket(family) as client:
        client.connect(address)
attempt("abstract", reach, socket.AF_UNIX, "\\0escape-{os.getpid()}")
attempt("loopback", reach, socket.AF_INET, ("127.0.0.1", {local.getsockname()[1]}))
attempt("shoald", reach, socket.AF_UNIX, {shoald.socket!r})
""" + inside.TELL  # fmt: skip
        told = attempts(shoald, program)
    assert told == {"abstract": "ECONNREFUSED", "loopback": "ECONNREFUSED", "shoald": "ENOENT"}
