"""Containers through the native driver: what they print, how they end, and what is told when they cannot start."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from pathlib import Path

import msgspec
import pytest

from shoal.errors import Conflict, Internal, InvalidArgument, NotFound, ShoalError
from shoal.linux.cgroups import detect
from shoal.linux.fd import Fd
from shoal.oci.runtime_spec import Memory, Resources
from shoal.runtime.driver import StreamTarget
from shoal.runtime.native.cgroups import CgroupSweeper
from tests.kernel.supervisor.bench import Bench, client, on_bench, replace

pytestmark = pytest.mark.root


def test_run_program_that_prints_gives_its_output_and_code_0(tmp_path: Path) -> None:
    """The whole path works: clone, plan, execve, output, exit."""

    async def body(bench: Bench) -> None:
        output, exit = await bench.run("echo", "hello")
        assert output == b"hello\n"
        assert (exit.code, exit.known, exit.oom_killed) == (0, True, False)

    on_bench(tmp_path, body)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$; sleep 5", 0)])
def test_exit_of_shell_gives_its_code(tmp_path: Path, script: str, code: int) -> None:
    """Exit codes come through; PID 1 of a namespace cannot kill itself."""
    if "KILL" in script:
        script = script.replace("sleep 5", "exit 0")

    async def body(bench: Bench) -> None:
        _, exit = await bench.run("sh", "-c", script)
        assert exit.code == code

    on_bench(tmp_path, body)


@pytest.mark.parametrize("number", [9, 15])
def test_signal_that_kills_gives_128_and_its_number(tmp_path: Path, number: int) -> None:
    """A signal from outside ends the container, and the code says which; the record on disk says the same."""

    async def body(bench: Bench) -> None:
        reader, attached = client(stdin=False)
        script = "trap 'exit 143' TERM; echo ready; while :; do sleep 0.01; done"
        launch = bench.launch("sh", "-c", script, clients=(attached,))
        await bench.start(launch)
        await reader.until(b"ready")
        await bench.driver.signal(launch.id, None, number)
        exit = await bench.exit_of(launch)
        assert exit.code == 128 + number
        record = json.loads(Path(launch.exit_file).read_text())
        assert record["exit_code"] == 128 + number
        assert record["finished_at"].endswith("Z")

    on_bench(tmp_path, body)


def test_signal_default_action_reaches_a_program_that_does_not_handle_it(tmp_path: Path) -> None:
    """Signals that the supervisor ignores are not ignored by what it starts."""

    async def body(bench: Bench) -> None:
        output, _ = await bench.run("sh", "-c", "grep SigIgn /proc/self/status; grep SigBlk /proc/self/status")
        _, ignored, _, blocked = output.split()
        # 32 and 33 are the C library's own, which nobody can set; they are as whoever runs the tests left them.
        assert int(ignored, 16) & ~(3 << 31) == int(blocked, 16) == 0

    on_bench(tmp_path, body)


def test_run_program_has_only_its_standard_streams_open(tmp_path: Path) -> None:
    """No descriptor of the supervisor's leaks into a container."""

    async def body(bench: Bench) -> None:
        output, _ = await bench.run("sh", "-c", "ls /proc/self/fd")
        # 3 is the directory that ls reads.
        assert output.split() == [b"0", b"1", b"2", b"3"]

    on_bench(tmp_path, body)


def test_start_unknown_program_fails_in_dockers_words_and_leaves_nothing(tmp_path: Path) -> None:
    """A program that is not there is an error of the start, and its directories go again (checked by the bench)."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        with pytest.raises(InvalidArgument) as caught:
            await bench.start(bench.launch("no-such-program", clients=(attached,)))
        assert str(caught.value) == 'exec: "no-such-program": executable file not found in $PATH'
        assert await reader.all() == b""
        with pytest.raises(ShoalError):
            await bench.driver.signal("nobody", None, 9)

    on_bench(tmp_path, body)


def test_start_same_container_again_runs_it_again(tmp_path: Path) -> None:
    """A container may run any number of times under one id; twice at once it may not."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        for _ in range(2):
            await bench.start(launch)
            with pytest.raises(Conflict):
                await bench.driver.start(launch, None)
            await bench.driver.signal(launch.id, None, 9)
            assert (await bench.exit_of(launch)).code == 137

    on_bench(tmp_path, body)


def test_wire_that_fails_takes_the_container_back(tmp_path: Path) -> None:
    """What the wiring raises comes out of `start`, and nothing of the container is left."""

    async def body(bench: Bench) -> None:
        async def wire(pid: int) -> None:
            assert Path(f"/proc/{pid}").exists()
            raise Conflict("the port is taken")

        with pytest.raises(Conflict, match="the port is taken"):
            await bench.driver.start(bench.launch("sleep", "1000"), wire)

    on_bench(tmp_path, body)


def test_wire_that_fails_for_a_child_that_failed_tells_the_childs_reason(tmp_path: Path) -> None:
    """A step ends the child and its namespaces; that the wiring then finds no process is not what went wrong."""

    async def body(bench: Bench) -> None:
        async def wire(pid: int) -> None:
            with Fd(os.pidfd_open(pid)) as pidfd:
                await wait_readable(pidfd.fileno())
            raise Internal("RTM_NEWLINK", why="No such process")

        launch = bench.launch("true")
        assert launch.spec.process is not None
        process = msgspec.structs.replace(launch.spec.process, cwd="/etc/passwd")
        launch = dataclasses.replace(launch, spec=msgspec.structs.replace(launch.spec, process=process))
        with pytest.raises(InvalidArgument, match="Cannot mkdir: /etc/passwd is not a directory"):
            await bench.driver.start(launch, wire)

    on_bench(tmp_path, body)


async def wait_readable(fd: int) -> None:
    """Returns once `fd` can be read: for a pidfd, once its process has ended."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(fd, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), 10)
    finally:
        loop.remove_reader(fd)


def test_wire_gets_the_pid_of_a_process_in_its_own_network(tmp_path: Path) -> None:
    """The network is wired while the process exists and does not run yet."""

    async def body(bench: Bench) -> None:
        seen = []

        async def wire(pid: int) -> None:
            seen.append((pid, Path(f"/proc/{pid}/ns/net").readlink()))

        launch = bench.launch("sleep", "1000")
        started = await bench.driver.start(launch, wire)
        assert seen[0][0] == started.pid
        assert seen[0][1] != Path("/proc/self/ns/net").readlink()

    on_bench(tmp_path, body)


def test_user_that_is_not_root_may_reopen_its_output(tmp_path: Path) -> None:
    """Programs open /dev/stdout by name: the FIFO has to belong to the user."""

    async def body(bench: Bench) -> None:
        output, exit = await bench.run("sh", "-c", "echo one >/dev/stdout; echo two >/proc/self/fd/2", user="app")
        assert (sorted(output.split()), exit.code) == ([b"one", b"two"], 0)

    on_bench(tmp_path, body)


def test_host_pid_namespace_leftovers_end_with_the_container(tmp_path: Path) -> None:
    """Without a pid namespace of its own, what the first process left behind is killed through the cgroup."""

    async def body(bench: Bench) -> None:
        namespaces = ("mount", "network", "ipc", "uts")
        output, exit = await bench.run("sh", "-c", "sleep 1000 & echo $!", namespaces=namespaces)
        assert exit.code == 0
        async with asyncio.timeout(5):
            while Path(f"/proc/{int(output)}").exists():
                await asyncio.sleep(0.01)

    on_bench(tmp_path, body)


def test_many_containers_at_once_share_supervisors(tmp_path: Path) -> None:
    """With room for four, ten containers need three supervisors; the empty ones go afterwards."""

    async def body(bench: Bench) -> None:
        await bench.driver.close()
        driver = bench.new_driver(per_supervisor=4)
        await driver.recover([])
        launches = [bench.launch("sleep", "1000") for _ in range(10)]
        for launch in launches:
            await bench.start(launch)
        assert len(bench.supervisor_pids()) == 3
        for launch in launches:
            await bench.driver.signal(launch.id, None, 9)
        for launch in launches:
            assert (await bench.exit_of(launch)).code == 137

    on_bench(tmp_path, body)


def test_attach_to_unknown_container_is_refused_and_closes_the_client(tmp_path: Path) -> None:
    """The driver owns the client from the call on, also where it cannot attach it."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        with pytest.raises(NotFound):
            await bench.driver.attach(StreamTarget("nobody"), attached.options, attached.socket, b"")
        assert await reader.all() == b""

    on_bench(tmp_path, body)


def test_start_with_a_cgroup_of_its_name_left_over_replaces_it(tmp_path: Path) -> None:
    """What a crash left does not keep the container from starting, and goes with it."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        detect().create(launch.cgroup_path)
        started = await bench.start(launch)
        assert launch.cgroup_path in Path(f"/proc/{started.pid}/cgroup").read_text()

    on_bench(tmp_path, body)


def test_start_with_limits_sets_them_before_the_program_runs(tmp_path: Path) -> None:
    """The specification's resources are in force; the kernel's kill for want of memory is told."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "x=a; while :; do x=$x$x; done")
        linux = msgspec.structs.replace(
            launch.spec.linux, resources=Resources(memory=Memory(limit=8 << 20, swap=8 << 20))
        )
        launch = replace(launch, spec=msgspec.structs.replace(launch.spec, linux=linux))
        await bench.start(launch)
        exit = await bench.exit_of(launch)
        assert (exit.code, exit.oom_killed) == (137, True)

    on_bench(tmp_path, body)


def test_sweeper_ends_a_group_that_is_half_removed(tmp_path: Path) -> None:
    """A supervisor that was killed while it removed a cgroup leaves directories in some hierarchies only."""
    bench = Bench(tmp_path)
    layout = detect()
    group = layout.create(f"{bench.cgroup_parent}/half")
    for directory in group.directories()[: len(group.directories()) // 2]:
        Path(directory).rmdir()
    sweeper = CgroupSweeper(layout, bench.cgroup_parent)
    assert sweeper.end(group.path)
    assert not any(Path(directory).exists() for directory in group.directories())
    sweeper.remove_parent()
    assert bench.left_over() == []
