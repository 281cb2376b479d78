"""What the machine has of memory, straight from the kernel."""

from __future__ import annotations


def available_kib() -> int:
    """MemAvailable of /proc/meminfo: what new programs could get. proc_meminfo(5)."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    return 0
