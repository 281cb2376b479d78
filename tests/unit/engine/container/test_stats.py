"""From counters to the sample that clients read, and when samples come."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from shoal.api.wire import encode
from shoal.engine.container.metering import Meter
from shoal.engine.container.stats import empty_sample, followed_by, sample
from shoal.engine.container.waiters import Ending
from shoal.linux.network_counters import parse_counters
from shoal.linux.processor_time import parse_processor_time
from tests.unit.engine.container.bench import Bench, run

if TYPE_CHECKING:
    from shoal.linux.cgroups.usage import Usage

USAGE: Usage = {
    "memory_bytes": 5000,
    "memory_max_bytes": 6000,
    "memory_limit_bytes": None,
    "memory_failures": 1,
    "memory_stats": {"total_inactive_file": 1000},
    "cpu_ns": 30,
    "cpu_user_ns": 20,
    "cpu_system_ns": 10,
    "per_cpu_ns": [10, 20],
    "throttling_periods": 3,
    "throttled_periods": 2,
    "throttled_ns": 1,
    "pids": 4,
    "pids_limit": None,
    "io_bytes": [{"major": 8, "minor": 0, "op": "Read", "value": 512}],
    "io_operations": [],
    "oom_kills": 0,
}
NET_DEV = """Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 100 2 0 0 0 0 0 0 100 2 0 0 0 0 0 0
  eth0:    1042      11    1    2    0     0          0         0       78       3    4    5    0     0       0        0
"""


def _sample(bench: Bench, usage: Usage, *, is_v1: bool = True) -> Any:
    return sample(
        bench.add(),
        usage,
        networks=parse_counters(NET_DEV),
        processors=parse_processor_time("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\ncpu1 1\nintr 1\n"),
        machine_memory_bytes=9000,
        is_v1=is_v1,
        now_ns=1_000_000_000,
    )


def test_sample_of_version_1_has_everything() -> None:
    """CPU, memory, tasks, block I/O and the network without its loopback."""

    async def scenario(bench: Bench) -> None:
        got = _sample(bench, USAGE)
        assert (got.name, got.read) == ("/web", "1970-01-01T00:00:01Z")
        assert (got.cpu_stats.cpu_usage.total_usage, got.cpu_stats.cpu_usage.percpu_usage) == (30, [10, 20])
        assert (got.cpu_stats.system_cpu_usage, got.cpu_stats.online_cpus) == (280_000_000, 2)
        assert (got.memory_stats.usage, got.memory_stats.max_usage, got.memory_stats.failcnt) == (5000, 6000, 1)
        assert got.memory_stats.limit == 9000  # no limit: the machine's memory
        assert got.blkio_stats.io_service_bytes_recursive[0].value == 512
        assert list(got.networks) == ["eth0"]
        assert (got.networks["eth0"].rx_dropped, got.networks["eth0"].tx_dropped) == (2, 5)

    run(scenario)


def test_sample_of_version_2_leaves_out_what_it_does_not_count() -> None:
    """No highest use, no time of each processor, null for the lists that it lacks; no limit is the largest number."""

    async def scenario(bench: Bench) -> None:
        usage: Usage = {**USAGE, "per_cpu_ns": [], "memory_limit_bytes": 100, "memory_failures": 3}
        text = encode(_sample(bench, usage, is_v1=False))
        for name in (b"max_usage", b"percpu_usage"):
            assert name not in text
        assert b'"io_queue_recursive":null' in text
        assert b'"io_serviced_recursive":null' in text
        assert b'"pids_stats":{"current":4,"limit":18446744073709551615}' in text
        assert b'"failcnt":3' in text
        assert b'"limit":100}' in text

    run(scenario)


def test_followed_by_compares_with_the_sample_before() -> None:
    """The first has zeroes before it, the next one the first."""

    async def scenario(bench: Bench) -> None:
        first = followed_by(None, _sample(bench, USAGE))
        assert (first.precpu_stats.cpu_usage.total_usage, first.preread) == (0, "0001-01-01T00:00:00Z")
        record = bench.registry.find("web")
        second = followed_by(first, empty_sample(record))
        assert (second.precpu_stats.cpu_usage.total_usage, second.preread) == (30, first.read)

    run(scenario)


@pytest.mark.parametrize("compared", [True, False])
def test_meter_of_a_container_that_does_not_run_answers_at_once(compared: bool) -> None:
    """One empty sample with the names, and no wait for a second one."""

    async def scenario(bench: Bench) -> None:
        meter, record = _meter(bench), bench.add()
        async with asyncio.timeout(0.5):
            got = [one async for one in meter.single(record, compared=compared)]
        assert [one.memory_stats.usage for one in got] == [None]

    run(scenario)


def test_meter_streams_until_the_container_is_removed() -> None:
    """The stream outlives stops; the removal ends it without waiting for the next second."""

    async def scenario(bench: Bench) -> None:
        record = bench.add()
        async with aclosing(_meter(bench).stream(record)) as samples, asyncio.timeout(0.9):
            await anext(samples)
            bench.registry.delete(record)
            asyncio.get_running_loop().call_later(0.01, bench.waiters.removed, record.id, Ending(0))
            assert [one async for one in samples] == []

    run(scenario)


def _meter(bench: Bench) -> Meter:
    return Meter(
        registry=bench.registry,
        cgroups=cast(Any, None),
        cgroup_path=lambda record: record.id,
        waiters=bench.waiters,
        memory_bytes=1,
        clock=lambda: 1,
    )
