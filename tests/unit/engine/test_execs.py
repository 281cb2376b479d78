"""Execs whose container ends at the same moment."""

from __future__ import annotations

import asyncio
import errno
from typing import Any, cast

import pytest

from shoal.api.exec import ExecConfig, ExecStartConfig
from shoal.engine.execs import Execs
from shoal.errors import Conflict, InvalidArgument, NotFound, ShoalError, SyscallError
from shoal.runtime.driver import Started
from tests.unit.engine.container.bench import ID, Bench, run


class _Driver:
    def __init__(self, failure: ShoalError) -> None:
        self._failure = failure

    async def exec(self, request: object) -> None:
        del request
        raise self._failure


class _Launches:
    def build_exec(self, *parts: object) -> tuple[object, ...]:
        return parts


def _execs(bench: Bench, failure: ShoalError) -> Execs:
    return Execs(
        registry=bench.registry,
        driver=cast(Any, _Driver(failure)),
        launches=cast(Any, _Launches()),
        events=bench.events,
        clock=lambda: 1,
        background=bench.containers.background,
    )


async def _start(bench: Bench, execs: Execs) -> str:
    await bench.lifecycle.start(bench.add())
    id = await execs.create("web", ExecConfig(cmd=["true"]))
    await execs.prepare_start(id, ExecStartConfig(detach=True))
    return id


def test_start_of_an_exec_in_a_container_that_just_ended_is_a_conflict() -> None:
    """A namespace without a process means that the container does not run, though its end is not noted yet."""

    async def test(bench: Bench) -> None:
        execs = _execs(bench, SyscallError("setns", "pid", errno.ESRCH))
        with pytest.raises(Conflict) as caught:
            await _start(bench, execs)
        assert caught.value.what == f"container {ID} is not running"

    run(test)


def test_exec_that_was_never_started_leaves_with_its_containers_run() -> None:
    """It is listed and found while the container runs, and neither once that run is over, also in the next one."""

    async def test(bench: Bench) -> None:
        execs = _execs(bench, InvalidArgument("unused"))
        record = bench.add()
        await bench.lifecycle.start(record)
        record.state.started_at_ns = 5
        id = await execs.create("web", ExecConfig(cmd=["true"]))
        assert execs.ids_of(ID) == [id]
        record.state.started_at_ns = 9  # another run
        assert execs.ids_of(ID) == []
        with pytest.raises(NotFound, match="No such exec instance"):
            await execs.inspect(id)
        await execs.create("web", ExecConfig(cmd=["true"]))
        assert id not in execs._execs

    run(test)


@pytest.mark.parametrize("size", [[1], [], [1, 2, 3], [100_000, 5]])
def test_start_with_a_console_size_of_any_length_is_taken(size: list[int]) -> None:
    """As an array of Go's: what is missing is 0, what is too much is dropped, what the kernel cannot hold is cut."""

    async def test(bench: Bench) -> None:
        execs = _execs(bench, InvalidArgument("reached the driver"))
        await bench.lifecycle.start(bench.add())
        id = await execs.create("web", ExecConfig(cmd=["true"], console_size=size))
        with pytest.raises(InvalidArgument, match="reached the driver"):
            await execs.prepare_start(id, ExecStartConfig(detach=True))

    run(test)


def test_start_of_an_exec_of_a_missing_program_has_its_exit_code() -> None:
    """The client asks for the exit code after the refusal: 127 for what is not there."""

    async def test(bench: Bench) -> None:
        execs = _execs(bench, InvalidArgument('exec: "true": executable file not found in $PATH'))
        with pytest.raises(InvalidArgument) as caught:
            await _start(bench, execs)
        assert caught.value.what.startswith("OCI runtime exec failed: exec failed: unable to start container process:")
        (id,) = execs._execs
        shown = await execs.inspect(id)
        assert (shown.running, shown.exit_code) == (False, 127)

    run(test)


class _SlowDriver:
    """Starts an exec when it is told to, and notes what it was asked for."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.calls: list[str] = []

    async def exec(self, request: object) -> Started:
        del request
        await self.go.wait()
        self.calls.append("exec")
        return Started(pid=7, started_at_ns=1)

    async def resize(self, *parts: object) -> None:
        del parts
        self.calls.append("resize")


def test_resize_of_an_exec_that_is_being_started_waits_for_it() -> None:
    """A client resizes as soon as its stream is open, which is before the process has a terminal."""

    async def test(bench: Bench) -> None:
        execs, driver = _execs(bench, InvalidArgument("unused")), _SlowDriver()
        execs._driver = cast(Any, driver)
        await bench.lifecycle.start(bench.add())
        id = await execs.create("web", ExecConfig(cmd=["sh"], tty=True))
        starting = asyncio.ensure_future(execs.prepare_start(id, ExecStartConfig(detach=True)))
        await asyncio.sleep(0)
        resizing = asyncio.ensure_future(execs.resize(id, 24, 80))
        await asyncio.sleep(0)
        assert not resizing.done()
        driver.go.set()
        await asyncio.gather(starting, resizing)
        assert driver.calls == ["exec", "resize"]

    run(test)
