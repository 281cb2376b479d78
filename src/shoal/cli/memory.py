"""What the machine has of memory, straight from the kernel."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.errors import SyscallError
from shoal.linux import procfs


def available_kib() -> int:
    """MemAvailable of /proc/meminfo: what new programs could get. proc_meminfo(5)."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    return 0


def proportional_kib(pids: Iterable[int]) -> int:
    """The sum of PSS, memory with each shared page divided among its users; a process that ended counts nothing."""
    total = 0
    for pid in pids:
        try:
            total += procfs.pss_kib(pid)
        except SyscallError:
            continue
    return total
