"""A build on a terminal: the steps at work in a block that moves, and above it a line for each that is done.

A thread draws, so that times go on where nothing is told. It ends with the build.
"""

from __future__ import annotations

import threading
import time

from shoal.cli.building.live_table import Step, block, failed_rows, finished_row
from shoal.cli.terminal import terminal_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from shoal.cli.context import Context
    from shoal.client.document import Document

_PAUSE_S = 0.1
_UP, _CLEAR = "\033[{}A", "\r\033[J"


class LiveProgress:
    """Shows the events of one build, within `with`. `why` as in Progress."""

    def __init__(self, context: Context, *, why: str) -> None:
        self._output: TextIO = context.stdout
        self._style = context.style
        self._why = why
        self._steps: dict[int, Step] = {}
        self._done = self._cached = self._total = 0
        self._began_s = time.monotonic()
        self._drawn = 0
        self._has_failed = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, daemon=True)

    def __enter__(self) -> LiveProgress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        now_s, width = time.monotonic(), self._size()[1]
        rows = []
        if self._has_failed:
            for step in self._steps.values():
                rows += failed_rows(step, self._total, now_s, width=width, style=self._style)
        cached = f", {self._cached} cached" if self._cached else ""
        rows.append(self._style(f"{self._done} of {self._total} steps{cached} in {now_s - self._began_s:.1f} s", "dim"))
        self._say(rows if self._total else [])

    def fail(self) -> None:
        """The build has failed: what the steps at work have said is to stay."""
        self._has_failed = True

    def show(self, message: Document) -> None:
        """One message of the engine."""
        with self._lock:
            number = message.number("buildStep", "step")
            if number:
                self._event(number, message)
            elif message.text("stream"):
                self._say(message.text("stream").rstrip("\n").split("\n"))

    def _event(self, number: int, message: Document) -> None:
        event, text = message.text("buildStep", "event"), message.text("buildStep", "text")
        if event == "began":
            self._steps[number] = Step(number, text, time.monotonic())
            self._total = message.number("buildStep", "total")
            return
        step = self._steps.get(number)
        if step is None:
            return
        if event == "wrote":
            step.wrote(text)
        elif event == "cached":
            step.is_cached = True
            self._cached += 1
        elif event == "missed" and self._why in ("all", str(number)):
            reasons = message.texts("buildStep", "reasons") or ["it was never made before"]
            self._say([f"step {number} is made anew: {step.text}", *(f"  {reason}" for reason in reasons)])
        elif event == "finished":
            del self._steps[number]
            self._done += 1
            width = self._size()[1]
            self._say([finished_row(step, self._total, time.monotonic(), width=width, style=self._style)])

    def _say(self, rows: Sequence[str]) -> None:
        """Puts lines that stay where the block is; it is drawn again below them."""
        up = _UP.format(self._drawn) if self._drawn else ""
        self._output.write(up + _CLEAR + "".join(f"{row}\n" for row in rows))
        self._output.flush()
        self._drawn = 0

    def _draw_on(self) -> None:
        while not self._over.wait(_PAUSE_S):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if not self._steps:
            return
        now_s = time.monotonic()
        height, width = self._size()
        done = (self._done, self._cached, self._total)
        seconds = now_s - self._began_s
        rows = block(self._steps, done, seconds, now_s, height=height, width=width, style=self._style)
        self._say(rows)
        self._drawn = len(rows)

    def _size(self) -> tuple[int, int]:
        return terminal_size(self._output.fileno()) or (24, 80)
