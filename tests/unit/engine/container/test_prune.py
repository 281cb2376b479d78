"""Which containers a prune takes, and what it does with them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.filters import Filters
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.prune import Pruner, choose
from shoal.engine.container.record import ContainerRecord
from shoal.errors import InvalidArgument
from shoal.image.snapshot.protocol import Usage
from tests.unit.engine.container.bench import Bench, run

MINUTE_NS = 60_000_000_000


class _Snapshotter:
    def usage(self, key: str) -> Usage:
        del key
        return Usage(500, 2)


def _pruner(bench: Bench) -> Pruner:
    return Pruner(
        registry=bench.registry,
        locks=ContainerLocks(),
        remover=cast(Any, bench.remover),
        snapshotter=cast(Any, _Snapshotter()),
        events=bench.events,
        clock=lambda: MINUTE_NS,
    )


def test_prune_removes_what_does_not_run_and_tells_the_space() -> None:
    """The report has ids and bytes, and the event has the bytes."""

    async def scenario(bench: Bench) -> None:
        record = bench.add()
        report = await _pruner(bench).prune(Filters())
        assert (report.containers_deleted, report.space_reclaimed) == ([record.id], 500)
        told = [message async for message in bench.events.subscribe(0, 1, Filters({"event": ["prune"]}))]
        assert [message.actor.attributes for message in told] == [{"reclaimed": "500"}]

    run(scenario)


@pytest.mark.parametrize("status", ["running", "paused", "restarting"])
def test_prune_leaves_what_runs_alone(status: Any) -> None:
    """A paused container, and one that will be started again, are not cleared away."""

    async def scenario(bench: Bench) -> None:
        bench.add().state.status = status
        report = await _pruner(bench).prune(Filters())
        assert (report.containers_deleted, report.space_reclaimed) == (None, 0)

    run(scenario)


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({"until": ["30s"]}, True),
        ({"until": ["2m"]}, False),
        ({"label": ["a"]}, True),
        ({"label": ["a=2"]}, False),
        ({"label": ["a", "b"]}, False),
        ({"label!": ["a"]}, False),
        ({"label!": ["b"]}, True),
    ],
)
def test_choose_filters_by_age_and_labels(filters: dict[str, list[str]], taken: bool) -> None:
    """`until` is an age or a time; labels must be there, or must not."""

    async def scenario(bench: Bench) -> None:
        records: list[ContainerRecord] = [bench.add(config=ContainerConfig(labels={"a": "1"}))]
        assert bool(choose(records, Filters(filters), now_ns=MINUTE_NS)) is taken

    run(scenario)


@pytest.mark.parametrize("filters", [{"status": ["exited"]}, {"until": ["1m", "2m"]}, {"until": ["yesterday"]}])
def test_choose_refuses_other_filters(filters: dict[str, list[str]]) -> None:
    """Nothing is removed over a filter that is not understood."""
    with pytest.raises(InvalidArgument):
        choose([], Filters(filters), now_ns=0)
