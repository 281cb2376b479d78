"""Pausing containers that end at the same moment."""

from __future__ import annotations

import asyncio
import errno
from typing import Any, cast

import pytest

from shoal.engine.container.freezing import Freezer
from shoal.engine.container.record import ContainerRecord
from shoal.errors import Conflict, SyscallError
from shoal.linux.cgroups.layout import Layout
from tests.unit.engine.container.bench import ID, Bench, run


class _Gone:
    """A cgroup whose last process has ended."""

    def __init__(self, number: int) -> None:
        self._number = number

    def freeze(self) -> None:
        raise SyscallError("write", "freezer.state", self._number)

    thaw = freeze


class _There:
    """A cgroup with processes, which may be frozen."""

    def __init__(self, *, frozen: bool) -> None:
        self.frozen = frozen

    def open(self, path: str) -> _There:
        del path
        return self

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False

    def is_frozen(self) -> bool:
        return self.frozen


class _Cgroups:
    def __init__(self, number: int) -> None:
        self._number = number

    def open(self, path: str) -> _Gone:
        del path
        return _Gone(self._number)


def _freezer(bench: Bench, number: int) -> Freezer:
    return _freezer_of(bench, _Cgroups(number))


def _freezer_of(bench: Bench, layout: _Cgroups | _There) -> Freezer:
    cgroups = cast(Layout, cast(Any, layout))
    parts = bench.containers
    return Freezer(bench.registry, cgroups, lambda record: record.id, parts.locks, bench.events, parts.health)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_pause_of_one_that_just_ended_is_a_conflict(verb: str, number: int) -> None:
    """When the cgroup has gone, the container does not run, though its end has not been noted yet."""

    async def test(bench: Bench) -> None:
        record: ContainerRecord = bench.add()
        await bench.lifecycle.start(record)
        if verb == "unpause":
            record.move("pause")
        with pytest.raises(Conflict) as caught:
            await getattr(_freezer(bench, number), verb)(record)
        assert caught.value.what == f"container {ID} is not running"

    run(test)


def test_pause_that_the_kernel_refuses_is_told() -> None:
    """Any other failure is not taken for the container's end."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        with pytest.raises(SyscallError):
            await _freezer(bench, errno.EIO).pause(record)
        assert record.state.status == "running"
        await asyncio.sleep(0)

    run(test)


@pytest.mark.parametrize(
    ("status", "for_now", "frozen", "after"),
    [
        ("running", False, False, ("running", False)),
        ("running", False, True, ("running", False)),  # killed before the pause was noted
        ("paused", False, True, ("paused", True)),  # a user's
        ("paused", False, False, ("running", False)),  # killed before the end of the pause was noted
        ("paused", True, True, ("running", False)),  # killed during a commit
    ],
)
def test_found_running_a_pause_that_was_half_done_is_ended(
    status: str, for_now: bool, frozen: bool, after: tuple[str, bool]
) -> None:
    """A killed shoald leaves no container frozen that nobody paused, nor one shown as paused that runs."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        if status == "paused":
            record.move("pause")
            record.state.paused_for_now = for_now
        there = _There(frozen=frozen)
        await _freezer_of(bench, there).found_running(record)
        assert (record.state.status, there.frozen) == after
        assert not record.state.paused_for_now

    run(test)
