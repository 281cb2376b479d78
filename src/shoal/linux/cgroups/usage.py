"""What a control group has used, in one shape for both versions.

Used by shoald. Documentation/admin-guide/cgroup-v1/{memory,cpuacct,blkio-controller}.rst, cgroup-v2.rst.
"""

from __future__ import annotations

from shoal.linux.cgroups.files import parse_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class BlockEntry(TypedDict):
        """One counter of one block device; `op` is Read, Write, …"""

        major: int
        minor: int
        op: str
        value: int

    class Usage(TypedDict):
        """Counters since the group began; None is "no limit" or "this kernel does not tell"."""

        memory_bytes: int
        memory_max_bytes: int | None  # the highest ever
        memory_limit_bytes: int | None
        memory_failures: int | None  # v1: how often the limit was hit; v2: how often nothing could be reclaimed
        memory_stats: dict[str, int]
        cpu_ns: int
        cpu_user_ns: int
        cpu_system_ns: int
        per_cpu_ns: list[int]  # empty on v2
        throttling_periods: int
        throttled_periods: int
        throttled_ns: int
        pids: int
        pids_limit: int | None
        io_bytes: list[BlockEntry]
        io_operations: list[BlockEntry]
        oom_kills: int


# USER_HZ, in which cpuacct.stat counts, is 100 on every architecture that shoal runs on.
NS_PER_TICK = 10_000_000
# Without a limit version 1 reports the largest multiple of a page in 63 bits.
_V1_UNLIMITED = 1 << 62


def v1_limit(value: int | None) -> int | None:
    """A limit of version 1, None when it is the number that stands for none."""
    return None if value is None or value >= _V1_UNLIMITED or value < 0 else value


def parse_blkio(text: str) -> list[BlockEntry]:
    """The lines "8:0 Read 4096" of the counters of version 1; the sum at the end is left out."""
    found: list[BlockEntry] = []
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 3 and ":" in parts[0]:
            major, _, minor = parts[0].partition(":")
            found.append({"major": int(major), "minor": int(minor), "op": parts[1], "value": int(parts[2])})
    return found


def parse_io_stat(text: str) -> tuple[list[BlockEntry], list[BlockEntry]]:
    """(bytes, operations) out of io.stat: lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …"."""
    sizes: list[BlockEntry] = []
    counts: list[BlockEntry] = []
    names = {
        "rbytes": (sizes, "read"),
        "wbytes": (sizes, "write"),
        "rios": (counts, "read"),
        "wios": (counts, "write"),
    }
    for line in text.splitlines():
        device, *pairs = line.split()
        major, colon, minor = device.partition(":")
        if not colon:
            continue
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name in names:
                target, op = names[name]
                target.append({"major": int(major), "minor": int(minor), "op": op, "value": int(value)})
    return sizes, counts


def oom_kills_of(text: str) -> int:
    """The count in memory.oom_control (v1) or memory.events (v2): a line "oom_kill 2"; 0 without one."""
    return parse_table(text).get("oom_kill", 0)
