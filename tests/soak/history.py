"""What was done in a soak, and when: shared by its threads, told when something goes wrong."""

from __future__ import annotations

import threading
import time
from collections import deque

_KEPT = 4000
_SHOWN = 80
# A little more than the answer takes that was under way when something died, or the look that comes just behind.
_BEFORE_S, _BEHIND_S = 0.3, 1.0


class History:
    """The operations of all clients in order, the times when something was killed, and the failures."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.operations = 0
        self._lock = threading.Lock()
        self._lines: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self._began = time.monotonic()
        self._kills: list[list[float]] = []

    def note(self, who: str, what: str) -> None:
        """Adds a line; `who` is a container's name, or whoever acts."""
        with self._lock:
            self.operations += 1
            self._lines.append((who, f"{time.monotonic() - self._began:8.3f} {who}: {what}"))

    def fail(self, who: str, what: str) -> None:
        """Adds a failure, with what led to it."""
        with self._lock:
            own = [line for name, line in self._lines if name in (who, "killer")][-_SHOWN:]
            at = time.monotonic() - self._began
            self.failures.append("\n".join([*own, f"{at:8.3f} {who}: FAILED: {what}"]))

    def killing(self) -> None:
        """Something is about to be killed, and what it did may be lost, until `alive`."""
        with self._lock:
            self._kills.append([time.monotonic(), float("inf")])

    def alive(self) -> None:
        """Everything is back."""
        with self._lock:
            self._kills[-1][1] = time.monotonic()

    def disturbed(self, since: float) -> bool:
        """Whether something was killed between a moment of `time.monotonic` and now, or just before."""
        with self._lock:
            now = time.monotonic()
            return any(begin - _BEFORE_S <= now and end + _BEHIND_S >= since for begin, end in self._kills)
