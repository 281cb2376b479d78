"""A container's use of resources on the wire. Docker API v1.50 `ContainerStatsResponse`, its Linux part.

The names are snake_case here, as in no other object of the API. What a kernel does not count is left out. Pure.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from shoal.api.timestamps import NEVER
from shoal.api.wire import Wire


class CPUUsage(Wire, kw_only=True, rename=str):
    """Nanoseconds since the container's cgroup began; `percpu_usage` on cgroup v1 only."""

    total_usage: int = 0
    percpu_usage: list[int] | UnsetType = UNSET
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class ThrottlingData(Wire, kw_only=True, rename=str):
    """Periods of the CPU quota, and how often and how long (ns) it held the container back."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CPUStats(Wire, kw_only=True, omit_defaults=True, rename=str):
    """The container's CPU time and, to compare, the whole machine's (`system_cpu_usage`, ns over all CPUs).

    A sample with nothing before it leaves these two out of `precpu_stats`, by which clients know.
    """

    cpu_usage: CPUUsage
    system_cpu_usage: int = 0
    online_cpus: int = 0
    throttling_data: ThrottlingData


class MemoryStats(Wire, kw_only=True, omit_defaults=True, rename=str):
    """Bytes of memory, page cache included: clients subtract `inactive_file` (v1: `total_inactive_file`) of `stats`."""

    usage: int | None = None
    max_usage: int | None = None
    stats: dict[str, int] | None = None
    failcnt: int | None = None
    limit: int | None = None


class PidsStats(Wire, kw_only=True, omit_defaults=True, rename=str):
    """The tasks of the container; no `limit` is none."""

    current: int | None = None
    limit: int | None = None


class BlkioEntry(Wire, kw_only=True, rename=str):
    """One counter of one block device; `op` is Read, Write, … on cgroup v1, read or write on v2."""

    major: int
    minor: int
    op: str
    value: int


class BlkioStats(Wire, kw_only=True, rename=str):
    """Block I/O; only the first two lists exist on cgroup v2, and they are the ones that clients show."""

    io_service_bytes_recursive: list[BlkioEntry] | None = None
    io_serviced_recursive: list[BlkioEntry] | None = None
    io_queue_recursive: list[BlkioEntry] | None = None
    io_service_time_recursive: list[BlkioEntry] | None = None
    io_wait_time_recursive: list[BlkioEntry] | None = None
    io_merged_recursive: list[BlkioEntry] | None = None
    io_time_recursive: list[BlkioEntry] | None = None
    sectors_recursive: list[BlkioEntry] | None = None


class NetworkStats(Wire, kw_only=True, rename=str):
    """The counters of one interface, as the container sees them."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def no_cpu() -> CPUStats:
    """The CPU's part of a sample that was not taken."""
    return CPUStats(cpu_usage=CPUUsage(), throttling_data=ThrottlingData())


class ContainerStats(Wire, kw_only=True, rename=str):
    """One sample; `precpu_stats` and `preread` are those of the sample before it."""

    name: str
    id: str
    read: str = NEVER
    preread: str = NEVER
    pids_stats: PidsStats
    blkio_stats: BlkioStats
    num_procs: int = 0
    storage_stats: dict[str, int] = {}
    cpu_stats: CPUStats
    precpu_stats: CPUStats
    memory_stats: MemoryStats
    networks: dict[str, NetworkStats] | UnsetType = UNSET
