"""The signals of a process that stands for one in a guest: each is passed on instead of acted upon."""

from __future__ import annotations

import os
import signal

from shoal.supervisor.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop

# What a monitor cannot take for its program's: it would stop by one, hears of its own doings by two, and the C library
# keeps the last two. The guest is asked for these by the monitor's door.
OF_MONITOR = (signal.SIGSTOP, signal.SIGPIPE, signal.SIGCHLD, 32, 33)
_LEFT = (signal.SIGKILL, *OF_MONITOR)


def catch_signals(loop: Loop, on_signal: Callable[[int], None], on_child: Callable[[], None] | None = None) -> None:
    """Calls `on_signal` with each signal from now on, in the loop; `on_child` when a child has ended."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    caught = [number for number in range(1, 65) if number not in _LEFT]
    if on_child is not None:
        caught.append(int(signal.SIGCHLD))
    for number in caught:
        signal.signal(number, _nothing)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def readable(_events: int) -> None:
        for number in os.read(read_end, 512):
            if number != signal.SIGCHLD:
                on_signal(number)
            elif on_child is not None:
                on_child()

    loop.watch(read_end, READABLE, readable)


def _nothing(_number: int, _frame: object) -> None:
    """The number is in the pipe."""
