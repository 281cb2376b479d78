"""Execs whose container ends at the same moment."""

from __future__ import annotations

import errno
from typing import Any, cast

import pytest

from shoal.api.exec import ExecConfig, ExecStartConfig
from shoal.engine.execs import Execs
from shoal.errors import Conflict, InvalidArgument, ShoalError, SyscallError
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
