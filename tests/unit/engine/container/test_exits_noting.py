"""What a container's record and its events tell of an end."""

from __future__ import annotations

import pytest

from shoal.api.filters import Filters
from shoal.engine.container.exits import ExitRecord
from shoal.engine.container.record import ContainerRecord
from shoal.errors import InvalidArgument
from shoal.runtime.driver import Exit
from tests.unit.engine.container.bench import Bench, run


async def _ended(bench: Bench, exit: Exit) -> ExitRecord:
    record = bench.add()
    await bench.lifecycle.start(record)
    await bench.lifecycle.note_exit(record, exit)
    return record.exits[-1]


async def _die_attributes(bench: Bench) -> dict[str, str]:
    told = [message async for message in bench.events.subscribe(0, 1, Filters()) if message.action == "die"]
    return told[-1].actor.attributes


def test_end_is_in_the_record_that_is_saved() -> None:
    """One transaction: who reads the state reads how it came about."""

    async def test(bench: Bench) -> None:
        end = await _ended(bench, Exit(3, 2_000))
        assert (end.cause, end.code, end.started_ns, end.ended_ns) == ("exit", 3, 1_000, 2_000)
        (row,) = bench.registry._db.execute("SELECT record FROM containers").fetchall()
        assert b'"cause":"exit"' in row[0]
        assert (await _die_attributes(bench))["shoal.cause"] == "exit"

    run(test)


def test_end_by_stop_is_asked_for_before_the_signal_is_sent() -> None:
    """Between the two shoald may be killed: then the next one finds the request in the record."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        bench.driver.obeys = ()
        saved: list[bytes] = []
        send = bench.driver.signal

        async def look(id: str, exec_id: str | None, signal: int, *, group: bool = False) -> None:
            (row,) = bench.registry._db.execute("SELECT record FROM containers").fetchall()
            saved.append(row[0])
            bench.driver.obeys = (9, 15)
            await send(id, exec_id, signal, group=group)

        bench.driver.signal = look  # type: ignore[method-assign]
        await bench.containers.stop("web", signal=None, timeout_s=None)
        assert b'"asked":{"by":"stop","signal":15' in saved[0]
        assert record.exits[-1].ask is not None
        assert record.exits[-1].ask.by == "stop"

    run(test)


def test_end_that_nobody_saw_is_unknown_or_a_reboot() -> None:
    """After a boot of the machine the recovery has taken the process id away."""

    async def test(bench: Bench) -> None:
        record: ContainerRecord = bench.add()
        await bench.lifecycle.start(record)
        await bench.lifecycle.note_exit(record, Exit(255, 2_000, known=False))
        await bench.lifecycle.start(record)
        record.state.pid = 0
        await bench.lifecycle.note_exit(record, Exit(255, 2_000, known=False))
        assert [(end.cause, end.code) for end in record.exits] == [("unknown", None), ("reboot", None)]

    run(test)


def test_start_that_failed_is_an_end_too() -> None:
    """With the reason; a run that follows is told beside it."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        bench.driver.failure = InvalidArgument("no such file or directory")
        with pytest.raises(InvalidArgument):
            await bench.lifecycle.start(record)
        (end,) = record.exits
        assert (end.cause, end.code, end.why) == ("start-failed", 127, "no such file or directory")

    run(test)


def test_request_of_an_earlier_run_is_not_the_next_ones() -> None:
    """A start begins anew."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        await bench.containers.stop("web", signal=None, timeout_s=None)
        await bench.lifecycle.start(record)
        assert record.state.asked is None

    run(test)
