"""When a guest's page cache is given back."""

from __future__ import annotations

import pytest

from shoal.supervisor.loop import Loop
from shoal.supervisor.machine import idle
from shoal.supervisor.machine.idle import Idleness, cached_kib, times

MEMINFO = b"MemTotal:  480284 kB\nCached:  %d kB\nShmem:  13132 kB\nHugePages_Total:  0\n"


def stat(idle_ticks: int, busy_ticks: int) -> bytes:
    """/proc/stat after so many ticks."""
    return b"cpu  %d 0 0 %d 0 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n" % (busy_ticks, idle_ticks)


def test_times_counts_waiting_for_a_disk_as_work() -> None:
    """user, nice, system, idle, iowait and interrupts; what guests took is part of user already."""
    assert times(b"cpu  10 1 4 200 30 2 3 0 5 5\ncpu0 1\n") == (200, 250)


def test_cached_kib_leaves_out_what_cannot_be_read_again() -> None:
    """A tmpfs is memory, and the initramfs is one."""
    assert cached_kib(MEMINFO % 20000) == 20000 - 13132


@pytest.mark.parametrize(
    ("later", "cached", "dropped"),
    [
        (stat(2080, 20), 60000, 1),
        (stat(1900, 200), 60000, 0),
        (stat(2080, 20), 14000, 0),
    ],
    ids=["idle", "busy", "nothing cached"],
)
def test_idleness_drops_the_cache_of_a_guest_that_idles(
    monkeypatch: pytest.MonkeyPatch, later: bytes, cached: int, dropped: int
) -> None:
    """One that works keeps it, and little is not worth it."""
    stats = iter([stat(100, 0), later])
    drops: list[int] = []
    loop = Loop()
    monkeypatch.setattr(idle, "_PERIOD_S", 0.0)
    monkeypatch.setattr(idle, "drop_page_cache", lambda: drops.append(1))

    def read(path: str) -> bytes:
        if path == "/proc/meminfo":
            return MEMINFO % cached
        try:
            return next(stats)
        except StopIteration:
            loop.stop()
            return later

    monkeypatch.setattr(idle, "read_file", read)
    Idleness(loop)
    loop.run()
    assert len(drops) == dropped
