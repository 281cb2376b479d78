"""Output that nobody wants any more: read and dropped, within limits."""

from __future__ import annotations

import os
from pathlib import Path

from shoal.supervisor.leftovers import FIFOS_MAX, Leftovers
from shoal.supervisor.loop import Loop


def fifo(path: Path) -> int:
    """A FIFO, held as a container's process holds one."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_leftovers_of_a_container_that_keeps_them_all_stay_few(tmp_path: Path) -> None:
    """Each exec may leave a daemon behind that holds its FIFOs for ever: the oldest are given up, not the others."""
    loop = Loop()
    leftovers = Leftovers(loop)
    before = open_fds()
    for number in range(FIFOS_MAX + 50):
        held = fifo(tmp_path / str(number))
        leftovers.add(str(tmp_path / str(number)))
        os.close(held)
    assert open_fds() - before <= FIFOS_MAX

    def look() -> None:
        if open_fds() <= before:
            loop.stop()
        else:
            loop.call_later(0.01, look)

    look()
    loop.call_later(10, loop.stop)
    loop.run()
    assert open_fds() <= before
    loop.close()


def test_leftovers_that_cannot_be_opened_are_passed_over(tmp_path: Path) -> None:
    """The end of an exec does not depend on it: out of descriptors, or the FIFO has gone."""
    loop = Loop()
    Leftovers(loop).add(str(tmp_path / "gone"))
    loop.close()
