"""One probe: its output, its limits, and what is left of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from shoal.api.container import ContainerConfig
from shoal.engine.container.record import ContainerRecord
from shoal.engine.execs import Execs
from shoal.engine.health.check import HealthCheck
from shoal.engine.health.output import ProbeOutput
from shoal.engine.health.prober import Prober, mark_of
from shoal.engine.health.record import ProbeResult
from shoal.errors import Conflict, InvalidArgument, ShoalError, Unavailable
from shoal.runtime.driver import Client, Exit, Started
from tests.unit.engine.container.bench import ID, Bench, run

S = 1_000_000_000
CHECK = HealthCheck(("true",), S, S // 50, 0, S, 3)


class _Driver:
    """Execs that write `output` and end with `code`; None: only by a signal."""

    def __init__(self, code: int | None = 0, output: bytes = b"", failure: ShoalError | None = None) -> None:
        self.code, self.output, self.failure = code, output, failure
        self.execs: Execs | None = None
        self.signals: list[tuple[int, bool]] = []
        self.gate: asyncio.Event | None = None

    async def exec(self, request: tuple[Any, ...]) -> Started:
        _, exec_id, _, _, _, clients = request
        (client,) = cast(tuple[Client, ...], clients)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            client.socket.close()
            raise self.failure
        with socket.socket(fileno=client.socket.detach()) as stream:
            if self.output:
                stream.send(self.output)
        if self.code is not None:
            self._end(exec_id, self.code)
        return Started(7, 1)

    async def signal(self, id: str, exec_id: str, signal: int, *, group: bool = False) -> None:
        del id
        self.signals.append((signal, group))
        self._end(exec_id, 128 + signal)

    def _end(self, exec_id: str, code: int) -> None:
        assert self.execs is not None
        asyncio.get_running_loop().call_soon(self.execs.exited, ID, exec_id, Exit(code, 5))


class _Launches:
    def build_exec(self, *parts: object) -> tuple[object, ...]:
        return parts


def _scenario(driver: _Driver, test: Callable[[Prober, ContainerRecord, Execs], Awaitable[None]]) -> None:
    async def body(bench: Bench) -> None:
        execs = Execs(
            registry=bench.registry,
            driver=cast(Any, driver),
            launches=cast(Any, _Launches()),
            events=bench.events,
            clock=lambda: 1,
            background=bench.containers.background,
        )
        driver.execs = execs
        record = bench.add(config=ContainerConfig(image="busybox"))
        await bench.lifecycle.start(record)
        await test(Prober(execs, cast(Any, driver), lambda: 1), record, execs)

    run(body)


def _results(driver: _Driver) -> list[ProbeResult]:
    told: list[ProbeResult] = []

    async def test(prober: Prober, record: ContainerRecord, execs: Execs) -> None:
        await prober.probe(record, CHECK, told.append)
        assert execs._execs == {}

    _scenario(driver, test)
    return told


def test_probe_result_is_exit_code_and_output() -> None:
    """What the command wrote, and how it ended; nothing of the exec is kept."""
    (result,) = _results(_Driver(3, b"bad \xff"))
    assert (result.exit_code, result.output) == (3, "bad \ufffd")


def test_probe_over_time_tells_so_and_is_killed_with_its_group() -> None:
    """The result has Docker's words and what was written so far."""
    driver = _Driver(None, b"slow")
    (result,) = _results(driver)
    assert (result.exit_code, result.output) == (-1, "Health check exceeded timeout (20ms): slow")
    assert driver.signals == [(9, True)]


def test_probe_that_cannot_be_started_is_a_failure_with_the_reason() -> None:
    """The sentence is the one that `docker exec` would show."""
    (result,) = _results(_Driver(failure=InvalidArgument('exec: "x": executable file not found in $PATH')))
    assert result.exit_code == -1
    assert "executable file not found" in result.output


def test_probe_of_one_that_has_ended_or_cannot_be_reached_says_nothing() -> None:
    """That is no failure of the check: the container's end is told elsewhere, and a supervisor's is not its fault."""
    assert _results(_Driver(failure=Conflict("container is not running"))) == []
    assert _results(_Driver(failure=Unavailable("no supervisor"))) == []


def test_probe_without_a_command_is_a_failure() -> None:
    """`["CMD"]` alone is accepted by create, and fails when it is run."""
    told: list[ProbeResult] = []

    async def test(prober: Prober, record: ContainerRecord, execs: Execs) -> None:
        del execs
        await prober.probe(record, HealthCheck((), S, S, 0, S, 3), told.append)

    _scenario(_Driver(), test)
    assert [result.output for result in told] == ["No exec command specified"]


def test_probe_without_descriptors_says_nothing_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container is probed again when its turn comes: a full table of files must not end its checks for ever."""

    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("shoal.engine.health.prober.ProbeOutput", fail)
    assert _results(_Driver()) == []


def test_probe_cancelled_while_it_starts_is_killed_once_it_runs() -> None:
    """Nobody would await it: the container was paused meanwhile."""
    driver = _Driver(None)

    async def test(prober: Prober, record: ContainerRecord, execs: Execs) -> None:
        driver.gate = asyncio.Event()
        probing = asyncio.ensure_future(prober.probe(record, CHECK, lambda _: None))
        while not execs._execs:
            await asyncio.sleep(0)
        probing.cancel()
        await asyncio.wait([probing])
        before = len(driver.signals)
        driver.gate.set()
        while len(driver.signals) == before:
            await asyncio.sleep(0)
        assert driver.signals[-1] == (9, True)

    _scenario(driver, test)


def test_left_over_probes_are_known_by_their_ids() -> None:
    """After a kill of shoald its probes are killed; what clients run is let be."""
    driver = _Driver(None)

    async def test(prober: Prober, record: ContainerRecord, execs: Execs) -> None:
        del execs
        await prober.kill_left_over(record.id, ("f" * 64, mark_of(record.id) + "0" * 48))
        assert len(driver.signals) == 1

    _scenario(driver, test)


def test_output_is_bounded_and_read_to_its_end() -> None:
    """4096 bytes are kept, and the writer never waits for room."""

    async def test() -> None:
        with ProbeOutput() as output:
            client = socket.socket(fileno=output.hand_over().detach())
            client.setblocking(True)
            await asyncio.to_thread(client.sendall, b"x" * 1_000_000)
            client.close()
            await output.wait_complete(5)
            assert output.text == "x" * 4096 + "..."

    asyncio.run(test())


def test_output_of_one_that_is_kept_open_is_not_awaited_for_ever() -> None:
    """A daemon that the probe left behind has inherited its streams."""

    async def test() -> None:
        with ProbeOutput() as output:
            with socket.socket(fileno=output.hand_over().detach()) as client:
                client.send(b"some")
                await output.wait_complete(0.01)
                assert output.text == "some"

    asyncio.run(test())
