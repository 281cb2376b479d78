"""The supervisor's own process: sealed, small, quiet, and importing nothing in its children."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import shoal
from shoal.linux.cgroups import detect
from shoal.linux.procfs import pss_kib
from shoal.runtime.native.interpreter import SealedInterpreter, this_interpreter
from tests.kernel.supervisor.bench import Bench, client, on_bench

pytestmark = pytest.mark.root

needs_blanks = pytest.mark.skipif(
    detect().version == "v2", reason="on version 2 a child is cloned into its cgroup: none is kept ready"
)
SOURCE = str(Path(shoal.__file__).parent.parent)
MAX_PSS_KIB = 12 * 1024

LIST_MODULES = f"""
import sys
sys.path.append({SOURCE!r})
import shoal.supervisor.main
print(*sys.modules)
"""

# Runs a child of the supervisor's under an audit hook that ends it at the first import.
CHILD_UNDER_AUDIT = f"""
import sys
sys.path.append({SOURCE!r})
import os, shoal.supervisor.main
from shoal.supervisor.blanks import clone_child
from shoal.supervisor.protocol import encode, receive, send_nowait
import marshal

with open(sys.argv[1], "rb") as plan_file:
    steps, flags = marshal.load(plan_file)

def hook(event, arguments):
    if event == "import":
        os.write(2, f"import of {{arguments[0]}}".encode())
        os._exit(99)

sys.addaudithook(hook)
child = clone_child(flags)
read_end, write_end = os.pipe()
null = os.open("/dev/null", os.O_RDWR)
plan = encode("plan", 0, {{"steps": steps, "stdio": [0, 1, 2], "joins": {{}}}})
send_nowait(child.channel, plan, [null, write_end, 2])
for barrier in ("cgroup", "network"):
    send_nowait(child.channel, encode("go", 0, {{"barrier": barrier}}))
os.close(write_end)
while message := receive(child.channel):
    if message[0] == "error":
        print(message[2])
print(os.read(read_end, 100).decode(), os.waitid(os.P_PIDFD, child.pidfd.fileno(), os.WEXITED).si_status)
"""


def run_python(script: str, *arguments: str) -> str:
    """What a script prints that runs as a supervisor does: isolated, without site-packages."""
    command = [this_interpreter(), "-SI", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_supervisor_imports_no_heavy_module() -> None:
    """Its memory, and the time of each clone, hang on what is loaded."""
    modules = set(run_python(LIST_MODULES).split())
    own = {name for name in modules if name.startswith("shoal")}
    heavy = {
        "typing",
        "re",
        "json",
        "logging",
        "asyncio",
        "dataclasses",
        "pathlib",
        "contextlib",
        "traceback",
        "inspect",
    }
    assert not modules & heavy
    assert len(modules - own) <= 60


@pytest.mark.parametrize("args", [("echo", "hi"), ("no-such-program",)])
def test_child_imports_nothing_between_clone_and_exec(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Under an audit hook that ends the child at any import, it reaches its program, or reports its error."""
    import marshal

    from shoal.runtime.compile import compile_plan

    bench = Bench(tmp_path)
    plan = compile_plan(bench.launch(*args, user="app"), bench.facts)
    (tmp_path / "plan").write_bytes(marshal.dumps((plan.to_wire(), plan.clone_flags)))
    output = run_python(CHILD_UNDER_AUDIT, str(tmp_path / "plan"))
    if args[0] == "echo":
        assert output.split() == ["hi", "0"]
    else:
        assert "executable file not found in $PATH" in output


def test_supervisor_runs_a_sealed_copy_that_nobody_can_write(tmp_path: Path) -> None:
    """What a container could find as /proc/PID/exe is no file of the host's."""

    async def body(bench: Bench) -> None:
        (pid,) = bench.supervisor_pids()
        assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")
        with pytest.raises(OSError):
            os.open(f"/proc/{pid}/exe", os.O_WRONLY)
        assert Path(f"/proc/{pid}/comm").read_text().startswith("shoal-superv")
        assert os.getsid(pid) == pid

    on_bench(tmp_path, body)


def test_sealed_interpreter_refuses_every_change() -> None:
    """Not even its owner can write to the copy."""
    interpreter = SealedInterpreter(this_interpreter())
    with pytest.raises(PermissionError):
        os.pwrite(interpreter.fd.fileno(), b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(interpreter.fd.fileno(), 0)
    interpreter.close()


def other_interpreters() -> list[str]:
    """Pythons of this machine that are new enough, built in other ways (with a shared libpython, say)."""
    found = [*Path("/root/.pyenv/versions").glob("3.1[1-9]*/bin/python3"), Path("/usr/bin/python3")]
    return sorted({os.path.realpath(path) for path in found if path.exists()} | {os.path.realpath(sys.executable)})


@pytest.mark.parametrize("path", other_interpreters())
def test_sealed_interpreter_finds_its_own_library(path: str) -> None:
    """The copy behaves as the interpreter at its real path: same version, same prefix."""
    interpreter = SealedInterpreter(path)
    script = "import sys, ctypes, os; print(sys.version_info[:2], sys.prefix, sys.executable)"
    expected = subprocess.run([path, "-SI", "-c", script], capture_output=True, text=True, check=True).stdout
    read_end, write_end = os.pipe()
    pid = os.posix_spawn(
        interpreter.executable,
        [path, "-SI", "-c", script],
        interpreter.environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)],
    )
    os.close(write_end)
    with os.fdopen(read_end) as output:
        assert output.read() == expected
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    interpreter.close()


def test_supervisor_is_small(tmp_path: Path) -> None:
    """With a running container it stays below its budget of memory."""

    async def body(bench: Bench) -> None:
        await bench.start(bench.launch("sleep", "1000"))
        (pid,) = bench.supervisor_pids()
        assert pss_kib(pid) < MAX_PSS_KIB

    on_bench(tmp_path, body)


def test_supervisor_survives_what_ends_shoald(tmp_path: Path) -> None:
    """Ctrl-C in shoald's terminal, its end, or its hang-up are nothing to a supervisor."""

    async def body(bench: Bench) -> None:
        (pid,) = bench.supervisor_pids()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        output, _ = await bench.run("echo", "alive")
        assert output == b"alive\n"
        assert bench.supervisor_pids() == [pid]

    on_bench(tmp_path, body)


@needs_blanks
def test_blanks_die_with_a_killed_supervisor_and_leave_no_cgroup(tmp_path: Path) -> None:
    """Children cloned ahead of time do not outlive the supervisor, nor do their cgroups (checked at the end)."""

    async def body(bench: Bench) -> None:
        async with asyncio.timeout(10):
            while not (blanks := [pid for sup in bench.driver._pool for pid in sup.blanks]):
                await asyncio.sleep(0.01)
        (old,) = bench.supervisor_pids()
        os.kill(old, signal.SIGKILL)
        async with asyncio.timeout(10):
            while any(Path(f"/proc/{pid}").exists() for pid in blanks):
                await asyncio.sleep(0.01)
        reader, attached = client()
        launch = bench.launch("echo", "next", clients=(attached,))
        await bench.start(launch)
        assert await reader.all() == b"next\n"

    on_bench(tmp_path, body)


@needs_blanks
def test_blanks_of_a_full_supervisor_are_none(tmp_path: Path) -> None:
    """Children that no container can use cost memory for nothing; when one ends, they come back."""

    async def body(bench: Bench) -> None:
        await bench.driver.close()
        driver = bench.new_driver(per_supervisor=2)
        await driver.recover([])

        async def wait_for_blanks(count: int) -> None:
            async with asyncio.timeout(10):
                while [len(supervisor.blanks) for supervisor in driver._pool] != [count]:
                    await asyncio.sleep(0.01)

        await wait_for_blanks(1)
        launches = [bench.launch("sleep", "1000") for _ in range(2)]
        for launch in launches:
            await bench.start(launch)
        await wait_for_blanks(0)
        await driver.signal(launches[0].id, None, 9)
        await bench.exit_of(launches[0])
        await wait_for_blanks(1)

    on_bench(tmp_path, body)
