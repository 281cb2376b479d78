"""What a container uses, computed from two samples of its counters as Docker's client does. Pure.

CPU is the container's share of the time of all processors between the samples, 100 % being one processor.
"""

from __future__ import annotations

from shoal.cli.quantities import binary_size, decimal_size
from shoal.client.document import Document

# Page cache that the kernel can drop at once: on cgroup v1 and v2.
_CACHE = ("total_inactive_file", "inactive_file")


def cpu_percent(before: Document, now: Document) -> float:
    """The share of the processors between two samples; 0 where that cannot be told."""
    used = now.number("cpu_stats", "cpu_usage", "total_usage") - before.number("cpu_stats", "cpu_usage", "total_usage")
    passed = now.number("cpu_stats", "system_cpu_usage") - before.number("cpu_stats", "system_cpu_usage")
    if used <= 0 or passed <= 0:
        return 0.0
    return used / passed * now.number("cpu_stats", "online_cpus") * 100


def memory_bytes(sample: Document) -> int:
    """The memory in use, without cache that costs nothing to give back."""
    usage = sample.number("memory_stats", "usage")
    stats = sample.mapping("memory_stats", "stats")
    cache = next((sample.number("memory_stats", "stats", name) for name in _CACHE if name in stats), 0)
    return usage - cache if cache < usage else usage


def network_bytes(sample: Document) -> tuple[int, int]:
    """Bytes received and sent on all interfaces."""
    names = list(sample.mapping("networks"))
    received = sum(sample.number("networks", name, "rx_bytes") for name in names)
    return received, sum(sample.number("networks", name, "tx_bytes") for name in names)


def block_bytes(sample: Document) -> tuple[int, int]:
    """Bytes read from and written to block devices."""
    read = written = 0
    for entry in sample.children("blkio_stats", "io_service_bytes_recursive"):
        kind = entry.text("op")[:1].lower()
        read += entry.number("value") if kind == "r" else 0
        written += entry.number("value") if kind == "w" else 0
    return read, written


def usage_row(before: Document, now: Document, *, whole: bool) -> dict[str, str]:
    """What the table and templates of `stats` see; `whole` shortens no id."""
    used, limit = memory_bytes(now), now.number("memory_stats", "limit")
    id = now.text("id")
    return {
        "Container": id if whole else id[:12],
        "ID": id if whole else id[:12],
        "Name": now.text("name").removeprefix("/"),
        "CPUPerc": f"{cpu_percent(before, now):.2f}%",
        "MemUsage": f"{binary_size(used)} / {binary_size(limit)}",
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "NetIO": " / ".join(map(decimal_size, network_bytes(now))),
        "BlockIO": " / ".join(map(decimal_size, block_bytes(now))),
        "PIDs": str(now.number("pids_stats", "current")),
    }
