"""What the demo measures, straight from the kernel."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence


def disk_bytes(directory: str) -> int:
    """The space of all files below `directory`: a file with several names counts once, another file system's not."""
    device = os.stat(directory).st_dev
    sizes: dict[int, int] = {}
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            try:
                status = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue  # The engine goes on working while we count.
            if status.st_dev == device:
                sizes[status.st_ino] = status.st_blocks * 512
            elif name in directories:
                directories.remove(name)
    return sum(sizes.values())


def files_in(paths: Iterable[str]) -> list[str]:
    """The files among `paths` and below those that are directories (which are not counted themselves)."""
    found: list[str] = []
    for path in paths:
        if not os.path.isdir(path) or os.path.islink(path):
            found.append(path)
        for parent, _, names in os.walk(path):
            found.extend(os.path.join(parent, name) for name in names)
    return found


def milliseconds(seconds: float) -> str:
    """`9.8 ms`."""
    return f"{seconds * 1000:.1f} ms"


def spread(times_s: Sequence[float]) -> str:
    """The median of the times, with the best and the worst."""
    ordered = sorted(times_s)
    median = milliseconds(statistics.median(ordered))
    return f"{median} (median of {len(ordered)}; best {milliseconds(ordered[0])}, worst {milliseconds(ordered[-1])})"
