"""What happens when supervisors and shoald die: containers go on, and nothing that they print or end with is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from random import Random

import pytest

from shoal.errors import ShoalError
from shoal.linux.procfs import start_time_ticks
from shoal.runtime.driver import KnownContainer, Launch, Started
from tests.kernel.supervisor.bench import Bench, client, on_bench

pytestmark = pytest.mark.root

COUNT = 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo "$i"; done'


def known(launch: Launch, started: Started) -> KnownContainer:
    """What the engine remembers of a container."""
    return KnownContainer(launch, started.pid, started.started_at_ns, start_time_ticks(started.pid))


def logged(bench: Bench, launch: Launch) -> str:
    """The text of the container's log."""
    return "".join(json.loads(line)["log"] for line in bench.log_text(launch).splitlines())


async def kill_supervisor(bench: Bench) -> None:
    """Kills the only supervisor, and waits until a successor is there."""
    (old,) = bench.supervisor_pids()
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(10):
        while bench.supervisor_pids() in ([], [old]):
            await asyncio.sleep(0.01)


def test_supervisor_killed_container_goes_on_and_its_code_is_known(tmp_path: Path) -> None:
    """A successor adopts it; shoald, its reaper now, tells how it ended."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        launch = bench.launch("sh", "-c", "read line; exit 42", open_stdin=True, stdin_once=False, clients=(attached,))
        started = await bench.start(launch)
        await kill_supervisor(bench)
        os.kill(started.pid, 0)
        again, attached = client()
        await bench.attach(launch, attached)
        await again.send(b"go\n")
        exit = await bench.exit_of(launch)
        assert (exit.code, exit.known) == (42, True)
        assert await again.all() == b""
        assert await reader.all() == b""

    on_bench(tmp_path, body)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3])
def test_supervisor_killed_while_container_prints_log_is_whole(tmp_path: Path, delay_s: float) -> None:
    """Killed at any moment of heavy output, the log has every line once."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", COUNT)
        await bench.start(launch)
        await asyncio.sleep(delay_s)
        if not bench.exit_future((launch.id, None)).done():
            await kill_supervisor(bench)
        exit = await bench.exit_of(launch)
        assert (exit.code, exit.known) == (0, True)
        assert logged(bench, launch).split() == [str(number) for number in range(1, 30_001)]

    on_bench(tmp_path, body)


def test_supervisor_killed_unfinished_line_is_kept(tmp_path: Path) -> None:
    """A line of which only the beginning was printed is finished under the successor."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "printf begin; read line; echo end", open_stdin=True)
        await bench.start(launch)
        await asyncio.sleep(0.1)
        await kill_supervisor(bench)
        reader, attached = client(early=b"\n")
        await bench.attach(launch, attached)
        await bench.exit_of(launch)
        assert logged(bench, launch) == "beginend\n"
        assert await reader.all() == b"end\n"

    on_bench(tmp_path, body)


def test_supervisor_killed_terminal_is_kept(tmp_path: Path) -> None:
    """shoald's duplicate of the master keeps the terminal from hanging up; the successor goes on with it."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "while read line; do echo got $line; done", open_stdin=True, terminal=True)
        await bench.start(launch)
        await kill_supervisor(bench)
        reader, attached = client()
        await bench.attach(launch, attached)
        await reader.send(b"x\n")
        await reader.until(b"got x\r\n")
        await bench.driver.resize(launch.id, None, 10, 20)

    on_bench(tmp_path, body)


def test_supervisor_killed_exec_goes_on(tmp_path: Path) -> None:
    """Execs are adopted as well, and new ones can be started."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        request = bench.exec_launch(launch, started, "sh", "-c", "sleep 0.5; exit 9")
        await bench.exec(request)
        await kill_supervisor(bench)
        reader, attached = client(stdin=False)
        await bench.exec(bench.exec_launch(launch, started, "echo", "new", clients=(attached,)))
        assert await reader.all() == b"new\n"
        assert (await bench.exit_of(request)).code == 9

    on_bench(tmp_path, body)


def test_supervisor_killed_during_a_start_fails_it_and_leaves_nothing(tmp_path: Path) -> None:
    """A container that waits for its network dies with its supervisor."""

    async def body(bench: Bench) -> None:
        pids = []

        async def wire(pid: int) -> None:
            pids.append(pid)
            os.kill(bench.supervisor_pids()[0], signal.SIGKILL)
            await asyncio.sleep(0.3)

        with pytest.raises(ShoalError):
            await bench.driver.start(bench.launch("sleep", "1000"), wire)
        async with asyncio.timeout(5):
            while Path(f"/proc/{pids[0]}").exists():
                await asyncio.sleep(0.01)
        output, _ = await bench.run("echo", "next")
        assert output == b"next\n"

    on_bench(tmp_path, body)


def test_restart_of_shoald_finds_containers_and_execs_again(tmp_path: Path) -> None:
    """A new driver on the same roots takes everything up: streams, ends, signals, and execs."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "while read line; do echo got $line; done", open_stdin=True, stdin_once=False)
        started = await bench.start(launch)
        request = bench.exec_launch(launch, started, "sleep", "1000")
        await bench.exec(request)
        await bench.driver.close()
        new = bench.new_driver()
        (recovered,) = await new.recover([known(launch, started)])
        assert (recovered.pid, recovered.exit, recovered.exec_ids) == (started.pid, None, (request.exec_id,))
        reader, attached = client()
        await bench.attach(launch, attached)
        await reader.send(b"a\n")
        await reader.until(b"got a\n")
        await new.signal(launch.id, request.exec_id, 15)
        assert (await bench.exit_of(request)).code == 143
        await new.signal(launch.id, None, 9)
        assert (await bench.exit_of(launch)).code == 137

    on_bench(tmp_path, body)


def test_container_that_ends_while_shoald_is_away_is_found_ended(tmp_path: Path) -> None:
    """The supervisor goes on alone, writes log and exit record, and ends when it hosts nothing."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "sleep 0.3; echo late; exit 3")
        started = await bench.start(launch)
        memory = known(launch, started)
        await bench.driver.close()
        async with asyncio.timeout(10):
            while bench.supervisor_pids():
                await asyncio.sleep(0.02)
        new = bench.new_driver()
        (recovered,) = await new.recover([memory])
        assert recovered.pid is None
        assert recovered.exit is not None
        assert (recovered.exit.code, recovered.exit.known) == (3, True)
        assert logged(bench, launch) == "late\n"

    on_bench(tmp_path, body)


def test_supervisor_killed_while_shoald_is_away_container_is_adopted(tmp_path: Path) -> None:
    """Both died: the container is found by its pid, its output by its FIFOs, and its end by the kernel."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "echo one; sleep 1; echo two; exit 4")
        started = await bench.start(launch)
        memory = known(launch, started)
        await asyncio.sleep(0.1)
        (old,) = bench.supervisor_pids()
        await bench.driver.close()
        os.kill(old, signal.SIGKILL)
        os.waitpid(old, 0)
        new = bench.new_driver()
        (recovered,) = await new.recover([memory])
        assert recovered.pid == started.pid
        assert recovered.note
        exit = await bench.exit_of(launch)
        assert (exit.code, exit.known) == (4, True)
        assert logged(bench, launch) == "one\ntwo\n"

    on_bench(tmp_path, body)


def test_container_nobody_knows_is_ended_by_recovery(tmp_path: Path) -> None:
    """A start that the engine had not noted yet when it died leaves nothing behind."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        started = await bench.start(launch)
        await bench.driver.close()
        new = bench.new_driver()
        assert await new.recover([]) == []
        async with asyncio.timeout(10):
            while Path(f"/proc/{started.pid}").exists():
                await asyncio.sleep(0.01)

    on_bench(tmp_path, body)


def test_container_gone_without_a_record_has_an_unknown_end(tmp_path: Path) -> None:
    """Where nobody can tell, nobody guesses."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("true")
        await bench.driver.close()
        (recovered,) = await bench.new_driver().recover([KnownContainer(launch, 2**22 - 1, 1, 1)])
        assert recovered.exit is not None
        assert not recovered.exit.known

    on_bench(tmp_path, body)


def test_shoald_lost_during_a_start_takes_the_container_back(tmp_path: Path) -> None:
    """Nobody would ever wire its network: it does not stay behind half made."""

    async def body(bench: Bench) -> None:
        pids = []

        async def wire(pid: int) -> None:
            pids.append(pid)
            for supervisor in bench.driver._pool:
                supervisor.close()
            await asyncio.sleep(0.2)

        with pytest.raises(ShoalError):
            await bench.driver.start(bench.launch("sleep", "1000"), wire)
        await bench.driver.close()
        async with asyncio.timeout(10):
            while Path(f"/proc/{pids[0]}").exists() or bench.supervisor_pids():
                await asyncio.sleep(0.01)
        await bench.new_driver().recover([])

    on_bench(tmp_path, body)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_deaths_leave_every_container_with_its_code(tmp_path: Path, seed: int) -> None:
    """Supervisors are killed again and again while containers start, run and end: no code and no line is lost."""

    async def body(bench: Bench) -> None:
        await bench.driver.close()
        await bench.new_driver(per_supervisor=3).recover([])
        random = Random(seed)
        ended: list[tuple[Launch, int]] = []

        async def one(number: int) -> None:
            await asyncio.sleep(random.random())
            launch = bench.launch("sh", "-c", f"sleep {random.random():.2f}; seq 1 {number * 500}; exit {number}")
            try:
                await bench.start(launch)
            except ShoalError:
                return  # its supervisor died during the start: told, and nothing is left
            exit = await bench.exit_of(launch)
            assert exit.known
            assert exit.code == number
            assert logged(bench, launch).split() == [str(n) for n in range(1, number * 500 + 1)]
            ended.append((launch, exit.code))

        async def kill() -> None:
            for _ in range(8):
                await asyncio.sleep(random.random() / 4)
                if pids := bench.supervisor_pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(random.choice(pids), signal.SIGKILL)

        await asyncio.gather(kill(), *(one(number) for number in range(1, 13)))
        assert len(ended) >= 3  # on a slow machine most deaths hit a start

    on_bench(tmp_path, body)
