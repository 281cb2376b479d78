"""The benchmark's report: a Markdown table for the README, and the machine that it was taken on."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

from tests.perf.measures import Row


def machine() -> str:
    """The machine in one line: processor, cores, memory, kernel, cgroups."""
    cpu = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    pure_v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    layout = "v2" if pure_v2 else "v1 (hybrid)" if Path("/sys/fs/cgroup/unified").exists() else "v1"
    return f"{cpu}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, kernel {platform.release()}, cgroups {layout}"


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def table(rows: list[Row], names: list[str], versions: list[str]) -> str:
    """Rows against subjects; in the peers' columns also how many times better the first one's figure is."""
    lines = ["| | " + " | ".join(versions) + " |", "|---|" + "---|" * len(names)]
    for row in rows:
        cells = []
        for name in names:
            value = row.values.get(name)
            own = row.values.get(names[0])
            if value is None:
                cells.append("–")
            elif name == names[0] or not own or own < 0:
                cells.append(_figure(value, row.unit))
            else:
                times = own / value if row.more_is_better else value / own
                cells.append(f"{_figure(value, row.unit)} ({times:.1f}×)")
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def taken_on() -> str:
    """The line below the table: the machine and the day."""
    return (
        f"Taken on {machine()}, on {datetime.date.today().isoformat()}, by `./dev bench`; medians, the engines in turn."
    )
