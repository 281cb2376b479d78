"""Gives an idle guest's page cache back: what it holds lies in the host's cache too, of which the guest's is a copy.

The pages are free then, and free page reporting hands them to the host. Runs in the guest's process 1.
"""

from __future__ import annotations

import os

from shoal.linux.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop

_PERIOD_S = 20.0
# An idle guest's own kernel, emulated, keeps a processor busy for one part in a hundred.
_IDLE_SHARE = 0.95
# Less is not worth reading it again.
_LEAST_KIB = 8 << 10


class Idleness:
    """Looks every now and then whether the guest has had something to do."""

    __slots__ = ("_before", "_loop")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._before = times(read_file("/proc/stat"))
        loop.call_later(_PERIOD_S, self._look)

    def _look(self) -> None:
        now = times(read_file("/proc/stat"))
        idle, total = (after - before for after, before in zip(now, self._before, strict=True))
        self._before = now
        self._loop.call_later(_PERIOD_S, self._look)
        if idle > _IDLE_SHARE * total and cached_kib(read_file("/proc/meminfo")) >= _LEAST_KIB:
            drop_page_cache()


def drop_page_cache() -> None:
    """Forgets the clean pages of files; what is mapped or not written yet stays. proc(5), /proc/sys/vm/drop_caches."""
    file = os.open("/proc/sys/vm/drop_caches", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, b"1")
    finally:
        os.close(file)


def times(stat: bytes) -> tuple[int, int]:
    """(idle, all) of the processors' time in ticks, as /proc/stat says it. Waiting for a disk is not idling."""
    ticks = [int(word) for word in stat.split(b"\n", 1)[0].split()[1:9]]
    return ticks[3], sum(ticks)


def cached_kib(meminfo: bytes) -> int:
    """How much of files is in memory that can be read again, as /proc/meminfo says it. On a tmpfs they cannot."""
    words = [line.split() for line in meminfo.splitlines()]
    values = {word[0]: int(word[1]) for word in words if len(word) > 1}
    return values[b"Cached:"] - values[b"Shmem:"]
