"""More processes in a running container."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from shoal.errors import Conflict, InvalidArgument
from tests.kernel.supervisor.bench import Bench, client, on_bench

pytestmark = pytest.mark.root


def test_exec_sees_the_containers_processes_and_ends_with_its_own_code(tmp_path: Path) -> None:
    """An exec is in the container's namespaces, and its end is not the container's."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        reader, attached = client(stdin=False)
        request = bench.exec_launch(
            launch, started, "sh", "-c", "hostname; cat /proc/1/cmdline; exit 5", clients=(attached,)
        )
        await bench.exec(request)
        assert await reader.all() == b"box\nsleep\x001000\x00"
        assert (await bench.exit_of(request)).code == 5
        assert not bench.exit_future((launch.id, None)).done()

    on_bench(tmp_path, body)


def test_exec_is_in_the_containers_cgroups(tmp_path: Path) -> None:
    """What an exec uses counts for the container."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        request = bench.exec_launch(launch, started, "sleep", "1000")
        inner = await bench.exec(request)
        own = Path(f"/proc/{started.pid}/cgroup").read_text()
        assert Path(f"/proc/{inner.pid}/cgroup").read_text() == own
        assert launch.cgroup_path in own

    on_bench(tmp_path, body)


def test_exec_stdin_end_reaches_it(tmp_path: Path) -> None:
    """`echo hi | docker exec -i x cat` ends."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        reader, attached = client()
        request = bench.exec_launch(launch, started, "cat", clients=(attached,))
        await bench.exec(request)
        await reader.send(b"hi\n" * 50_000)
        reader.end_input()
        assert await reader.all() == b"hi\n" * 50_000
        assert (await bench.exit_of(request)).code == 0

    on_bench(tmp_path, body)


def test_exec_terminal_is_its_own(tmp_path: Path) -> None:
    """An exec with a terminal gets one of the container's devpts."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        reader, attached = client()
        request = bench.exec_launch(launch, started, "sh", "-c", "stty size; tty", terminal=True, clients=(attached,))
        await bench.exec(request)
        assert await reader.all() == b"24 80\r\n/dev/pts/0\r\n"

    on_bench(tmp_path, body)


def test_exec_unknown_program_fails_in_dockers_words(tmp_path: Path) -> None:
    """The same words as for a container's own program; the container goes on."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        with pytest.raises(InvalidArgument) as caught:
            await bench.exec(bench.exec_launch(launch, started, "nope"))
        assert str(caught.value) == 'exec: "nope": executable file not found in $PATH'

    on_bench(tmp_path, body)


def test_exec_in_container_that_ended_is_a_conflict(tmp_path: Path) -> None:
    """There is nothing to enter."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("true")
        started = await bench.start(launch)
        await bench.exit_of(launch)
        reader, attached = client()
        with pytest.raises(Conflict):
            await bench.exec(bench.exec_launch(launch, started, "true", clients=(attached,)))
        assert await reader.all() == b""

    on_bench(tmp_path, body)


def test_execs_at_once_all_answer(tmp_path: Path) -> None:
    """Several may start at the same time."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)

        async def one(number: int) -> bytes:
            reader, attached = client(stdin=False)
            await bench.exec(bench.exec_launch(launch, started, "echo", str(number), clients=(attached,)))
            return await reader.all()

        assert await asyncio.gather(*map(one, range(8))) == [b"%d\n" % number for number in range(8)]

    on_bench(tmp_path, body)


def test_container_that_ends_takes_its_execs_along(tmp_path: Path) -> None:
    """When PID 1 ends, the kernel kills the rest; each exec's end is told too."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        request = bench.exec_launch(launch, started, "sleep", "1000")
        await bench.exec(request)
        await bench.driver.signal(launch.id, None, 9)
        assert (await bench.exit_of(request)).code == 137
        assert (await bench.exit_of(launch)).code == 137

    on_bench(tmp_path, body)


def test_exec_that_leaves_a_process_behind_ends_its_client(tmp_path: Path) -> None:
    """`docker exec c sh -c 'daemon &'` returns, and the daemon can print as much as it likes."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        reader, attached = client(stdin=False)
        script = "(sleep 0.3; dd if=/dev/zero bs=65536 count=8 2>/dev/null; touch /tmp/done) & echo ok"
        request = bench.exec_launch(launch, started, "sh", "-c", script, clients=(attached,))
        await bench.exec(request)
        assert await reader.all() == b"ok\n"
        async with asyncio.timeout(10):
            while not (bench.rootfs / "tmp/done").exists():
                await asyncio.sleep(0.05)

    on_bench(tmp_path, body)


def test_exec_signal_reaches_it_alone(tmp_path: Path) -> None:
    """A signal for an exec is not one for the container."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        request = bench.exec_launch(launch, started, "sleep", "1000")
        inner = await bench.exec(request)
        await bench.driver.signal(launch.id, request.exec_id, 15)
        assert (await bench.exit_of(request)).code == 143
        os.kill(started.pid, 0)
        assert inner.pid != started.pid

    on_bench(tmp_path, body)
