"""What interrupted pulls have left is kept for their next try, and deleted when its time is over."""

from __future__ import annotations

import asyncio

from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.image.store import ImageStore

_NS = 1_000_000_000
_SLACK_S = 1.0


class ImageExpiry:
    """Has the store collect its garbage when something expires. Used on the event loop; idle, it has no task."""

    def __init__(self, store: ImageStore, background: Background, clock: Clock) -> None:
        self._store = store
        self._background = background
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Looks when there is something to do; at the start, and whenever a pull has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._store.next_expiry_ns()
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - self._clock()) / _NS) + _SLACK_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin)

    def close(self) -> None:
        """Nothing expires any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._timer = None
        self._background.spawn(self._expire(), "deleting what interrupted pulls have left")

    async def _expire(self) -> None:
        await asyncio.to_thread(self._store.collect_garbage)
        self.plan()
