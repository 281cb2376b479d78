"""What every RuntimeDriver does, by the Protocol in runtime/driver.py; each implementation runs the same cases."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from shoal.errors import Conflict, InvalidArgument, NotFound, ShoalError
from shoal.runtime.driver import Exit, RuntimeDriver, StreamTarget
from tests.kernel.supervisor.bench import Bench, client, on_bench

pytestmark = pytest.mark.root

# A bench makes the driver of its kind; there is one kind so far.
BENCHES = [pytest.param(on_bench, id="native")]


@pytest.fixture(params=BENCHES)
def on(request: pytest.FixtureRequest) -> object:
    """Runs a case with a driver of the kind under test."""
    return request.param


def test_driver_has_the_methods_of_the_protocol(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What the engine gets is a RuntimeDriver."""

    async def body(bench: Bench) -> None:
        driver: RuntimeDriver = bench.driver
        assert driver is not None

    on(tmp_path, body)


def test_start_gives_a_live_pid_and_the_end_is_told_once(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """`start` returns when the program runs; its end comes through the callback, exactly once."""

    async def body(bench: Bench) -> None:
        told: list[tuple[str, Exit]] = []
        ended = asyncio.Event()

        def on_exit(id: str, exit: Exit) -> None:
            told.append((id, exit))
            ended.set()

        bench.driver.subscribe(on_exit, lambda *_: None, lambda *_: None, lambda *_: None)
        launch = bench.launch("sleep", "1000")
        started = await bench.driver.start(launch, None)
        os.kill(started.pid, 0)
        assert started.started_at_ns > 0
        await bench.driver.signal(launch.id, None, 9)
        await asyncio.wait_for(ended.wait(), 10)
        await bench.driver.signal(launch.id, None, 9)
        assert [(id, exit.code) for id, exit in told] == [(launch.id, 137)]
        assert told[0][1].finished_at_ns >= started.started_at_ns

    on(tmp_path, body)


def test_start_waits_for_the_wire_before_the_program_runs(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The program sees its network from its first instruction on."""

    async def body(bench: Bench) -> None:
        reader, attached = client(stdin=False)
        released = asyncio.Event()
        wired = asyncio.Event()

        async def wire(pid: int) -> None:
            assert pid > 0
            wired.set()
            await released.wait()

        starting = asyncio.ensure_future(bench.driver.start(bench.launch("echo", "ran", clients=(attached,)), wire))
        await asyncio.wait_for(wired.wait(), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.until(b"ran"), 0.2)
        released.set()
        await asyncio.wait_for(starting, 10)
        assert await reader.all() == b"ran\n"

    on(tmp_path, body)


def test_start_that_is_cancelled_leaves_nothing(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Whoever asked has gone: the container is taken back."""

    async def body(bench: Bench) -> None:
        pids: list[int] = []
        wired = asyncio.Event()

        async def wire(pid: int) -> None:
            pids.append(pid)
            wired.set()
            await asyncio.Event().wait()

        starting = asyncio.ensure_future(bench.driver.start(bench.launch("sleep", "1000"), wire))
        await asyncio.wait_for(wired.wait(), 10)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not Path(f"/proc/{pids[0]}").exists()

    on(tmp_path, body)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("nope",), 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), 'exec: "/nope": stat /nope: no such file or directory'),
        (("/etc",), 'exec: "/etc": is a directory'),
        (("/etc/passwd",), 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_start_of_what_is_no_program_raises_dockers_words(on, tmp_path: Path, args, sentence) -> None:  # type: ignore[no-untyped-def]
    """Clients read exit codes 126 and 127 out of these sentences; the client's connection ends."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        with pytest.raises(InvalidArgument) as caught:
            await bench.driver.start(bench.launch(*args, clients=(attached,)), None)
        assert str(caught.value) == sentence
        assert await reader.all() == b""

    on(tmp_path, body)


def test_start_that_fails_by_itself_is_told_and_not_what_that_did_to_the_wiring(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Wiring a process that has just died fails too; the client is to hear of the cause."""

    async def body(bench: Bench) -> None:
        async def wire(pid: int) -> None:
            while Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.01)
            raise NotFound("no such process")

        launch = bench.launch("true")
        (bench.rootfs / "dev").rmdir()
        (bench.rootfs / "dev").write_text("a file where a directory should be")
        with pytest.raises(ShoalError) as caught:
            await bench.driver.start(launch, wire)
        assert "no such process" not in str(caught.value)
        assert "dev" in str(caught.value)

    on(tmp_path, body)


def test_requests_for_an_unknown_container_raise_not_found(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """No method hangs or succeeds for what does not exist."""

    async def body(bench: Bench) -> None:
        driver = bench.driver
        with pytest.raises(NotFound):
            await driver.signal("nobody", None, 9)
        with pytest.raises(NotFound):
            await driver.resize("nobody", None, 1, 1)
        reader, attached = client()
        with pytest.raises(NotFound):
            await driver.attach(StreamTarget("nobody"), attached.options, attached.socket, b"")
        assert await reader.all() == b""

    on(tmp_path, body)


def test_exec_in_ended_container_is_a_conflict(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """There is nothing to enter any more."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("true")
        started = await bench.start(launch)
        await bench.exit_of(launch)
        with pytest.raises(Conflict):
            await bench.driver.exec(bench.exec_launch(launch, started, "true"))

    on(tmp_path, body)


def test_attach_to_just_ended_container_closes_the_client(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A race that nobody could win is no error: the streams have ended."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("true")
        await bench.start(launch)
        await bench.exit_of(launch)
        reader, attached = client()
        await bench.attach(launch, attached)
        assert await reader.all() == b""

    on(tmp_path, body)


def test_close_leaves_containers_and_recover_finds_them(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """shoald may go; `recover` answers in the order of the question."""
    from tests.kernel.supervisor.test_death import known

    async def body(bench: Bench) -> None:
        launches = [bench.launch("sleep", "1000") for _ in range(3)]
        memory = [known(launch, await bench.start(launch)) for launch in launches]
        await bench.driver.close()
        for entry in memory:
            os.kill(entry.pid, 0)
        recovered = await bench.new_driver().recover(memory)
        assert [(entry.id, entry.pid) for entry in recovered] == [(entry.launch.id, entry.pid) for entry in memory]

    on(tmp_path, body)


def test_start_during_many_others_all_run(on, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Concurrent starts do not disturb each other."""

    async def body(bench: Bench) -> None:
        async def one(number: int) -> bytes:
            output, exit = await bench.run("echo", str(number))
            assert exit.code == 0
            return output

        outputs = await asyncio.gather(*map(one, range(12)), return_exceptions=True)
        assert not [error for error in outputs if isinstance(error, ShoalError)]
        assert outputs == [b"%d\n" % number for number in range(12)]

    on(tmp_path, body)
