"""How long calls may last, and what must not be cut short: the twin of `client.aio.endings`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from shoal.client.driver import deadline
from shoal.errors import TimedOut

_Result = TypeVar("_Result")


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Bounds the calls within a `with` block, all together. None sets no limit; of nested ones the nearest end counts.

    Raises: TimedOut.
    """
    if seconds is None:
        yield
        return
    own, outer = time.monotonic() + seconds, deadline.get()
    token = deadline.set(own if outer is None else min(own, outer))
    try:
        yield
    finally:
        deadline.reset(token)


def undisturbed(action: Callable[[], _Result]) -> _Result:
    """What `action` returns, run to its end: no time limit ends it, and a Ctrl-C counts when it is over.

    A second Ctrl-C does not wait: an engine that hangs must not make a program unstoppable.
    """
    token = deadline.set(None)
    try:
        with _interrupts_held_back():
            return action()
    finally:
        deadline.reset(token)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGINT)
    # Only the main thread is interrupted, and only it may change that.
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    held: list[FrameType | None] = []

    def hold(number: int, frame: FrameType | None) -> Any:
        if held:
            signal.signal(signal.SIGINT, previous)
            return previous(number, frame)
        held.append(frame)
        return None

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if held:
        previous(signal.SIGINT, held[0])


def pause(seconds: float) -> None:
    """Waits, no longer than the time limit allows. Raises: TimedOut."""
    moment = deadline.get()
    if moment is not None and moment - time.monotonic() < seconds:
        raise TimedOut("the time limit is over")
    time.sleep(seconds)
