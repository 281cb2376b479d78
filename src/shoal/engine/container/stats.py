"""From a cgroup's counters to the sample that clients read (Docker API v1.50 ContainerStats). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import UNSET

from shoal.api.stats import (
    BlkioEntry,
    BlkioStats,
    ContainerStats,
    CPUStats,
    CPUUsage,
    MemoryStats,
    NetworkStats,
    PidsStats,
    ThrottlingData,
    no_cpu,
)
from shoal.api.timestamps import format_rfc3339
from shoal.engine.container.record import ContainerRecord
from shoal.linux.network_counters import Counters
from shoal.linux.processor_time import ProcessorTime

if TYPE_CHECKING:
    from shoal.linux.cgroups.usage import BlockEntry, Usage


_NO_LIMIT = (1 << 64) - 1


def empty_sample(record: ContainerRecord) -> ContainerStats:
    """The answer for a container that does not run: its names, and nothing measured."""
    return ContainerStats(
        name=f"/{record.name}",
        id=record.id,
        pids_stats=PidsStats(),
        blkio_stats=BlkioStats(),
        cpu_stats=no_cpu(),
        precpu_stats=no_cpu(),
        memory_stats=MemoryStats(),
    )


def sample(
    record: ContainerRecord,
    usage: Usage,
    *,
    networks: Mapping[str, Counters] | None,
    processors: ProcessorTime,
    machine_memory_bytes: int,
    is_v1: bool,
    now_ns: int,
) -> ContainerStats:
    """One sample, without what the one before it says; `networks` None: the container has no network of its own."""
    return ContainerStats(
        name=f"/{record.name}",
        id=record.id,
        read=format_rfc3339(now_ns),
        pids_stats=PidsStats(current=usage["pids"], limit=_pids_limit(usage, is_v1=is_v1)),
        blkio_stats=_blkio(usage, is_v1=is_v1),
        cpu_stats=_cpu(usage, processors),
        precpu_stats=no_cpu(),
        memory_stats=_memory(usage, machine_memory_bytes, is_v1=is_v1),
        networks=UNSET if networks is None else _networks(networks),
    )


def _cpu(usage: Usage, processors: ProcessorTime) -> CPUStats:
    return CPUStats(
        cpu_usage=CPUUsage(
            total_usage=usage["cpu_ns"],
            percpu_usage=usage["per_cpu_ns"] or UNSET,
            usage_in_kernelmode=usage["cpu_system_ns"],
            usage_in_usermode=usage["cpu_user_ns"],
        ),
        system_cpu_usage=processors.total_ns,
        online_cpus=processors.online,
        throttling_data=ThrottlingData(
            periods=usage["throttling_periods"],
            throttled_periods=usage["throttled_periods"],
            throttled_time=usage["throttled_ns"],
        ),
    )


def _pids_limit(usage: Usage, *, is_v1: bool) -> int | None:
    # Without a limit it is left out on version 1, and on version 2 the largest number there is, as with Docker.
    return _NO_LIMIT if usage["pids_limit"] is None and not is_v1 else usage["pids_limit"]


def _memory(usage: Usage, machine_bytes: int, *, is_v1: bool) -> MemoryStats:
    limit = usage["memory_limit_bytes"]
    return MemoryStats(
        usage=usage["memory_bytes"],
        max_usage=usage["memory_max_bytes"] if is_v1 else None,
        stats=usage["memory_stats"],
        # On version 2 it is how often the group was out of memory, left out while it never was.
        failcnt=usage["memory_failures"] if is_v1 else usage["memory_failures"] or None,
        # Without a limit the machine itself is it.
        limit=machine_bytes if limit is None else min(limit, machine_bytes),
    )


def _blkio(usage: Usage, *, is_v1: bool) -> BlkioStats:
    # On version 1 all lists are there, if empty; on version 2 Docker has bytes alone.
    others: dict[str, list[BlkioEntry]] = {name: [] for name in _V1_LISTS} if is_v1 else {}
    return BlkioStats(
        io_service_bytes_recursive=_entries(usage["io_bytes"]),
        io_serviced_recursive=_entries(usage["io_operations"]) if is_v1 else None,
        **others,
    )


_V1_LISTS = (
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)


def _entries(counters: list[BlockEntry]) -> list[BlkioEntry]:
    return [
        BlkioEntry(major=entry["major"], minor=entry["minor"], op=entry["op"], value=entry["value"])
        for entry in counters
    ]


def _networks(counters: Mapping[str, Counters]) -> dict[str, NetworkStats]:
    return {name: NetworkStats(**counted._asdict()) for name, counted in counters.items() if name != "lo"}


def followed_by(before: ContainerStats | None, now: ContainerStats) -> ContainerStats:
    """`now`, with what the sample before it measured as its `precpu_stats`."""
    if before is not None:
        now.precpu_stats, now.preread = before.cpu_stats, before.read
    return now
