"""The time of all processors of the machine. proc_stat(5).

Used by shoald.
"""

from __future__ import annotations

from typing import NamedTuple

from shoal.errors import SyscallError

# USER_HZ is 100 on every architecture that shoal runs on.
_NS_PER_TICK = 10_000_000
# user, nice, system, idle, iowait, irq, softirq: guest time is in user already.
_COLUMNS = 7


class ProcessorTime(NamedTuple):
    """Nanoseconds since boot, over all processors and whatever they did, and how many processors are on."""

    total_ns: int
    online: int


def processor_time() -> ProcessorTime:
    """The time now. Raises: SyscallError when /proc is not there."""
    try:
        with open("/proc/stat", encoding="ascii") as table:
            return parse_processor_time(table.read())
    except OSError as error:
        raise SyscallError("open", "/proc/stat", error.errno or 0) from None


def parse_processor_time(text: str) -> ProcessorTime:
    """The line `cpu` of /proc/stat added up, and the number of lines `cpuN`."""
    ticks = online = 0
    for line in text.splitlines():
        name, _, values = line.partition(" ")
        if name == "cpu":
            ticks = sum(int(value) for value in values.split()[:_COLUMNS])
        elif name.startswith("cpu"):
            online += 1
    return ProcessorTime(ticks * _NS_PER_TICK, online)
