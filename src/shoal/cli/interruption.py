"""Ctrl-C in a command that has to clean up behind itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class Interruption:
    """While the context lasts, the first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt.

    Later ones do nothing: the cleaning up that the first one began comes to its end. What is ignored stays ignored.
    """

    def __init__(self) -> None:
        self._former: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._came = False

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if not self._came:
            self._came = True
            os.write(2, b"\ninterrupted; cleaning up\n")
            raise KeyboardInterrupt
