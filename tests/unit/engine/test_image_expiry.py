"""What pulls have left expires by a timer, which stands only while there is something to expire."""

from __future__ import annotations

import asyncio
import time

import pytest

from shoal.engine import image_expiry
from shoal.engine.background import Background
from shoal.engine.image_expiry import ImageExpiry


class FakeStore:
    """Has things that expire at these moments, one after the other."""

    def __init__(self, *due_ns: int) -> None:
        self._due = list(due_ns)
        self.collected: list[int] = []

    def next_expiry_ns(self) -> int | None:
        """The first of them."""
        return self._due[0] if self._due else None

    def collect_garbage(self) -> None:
        """Takes it away; in a thread."""
        self.collected.append(self._due.pop(0))


@pytest.fixture(autouse=True)
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers end on time."""
    monkeypatch.setattr(image_expiry, "_SLACK_S", 0.0)


async def _expired(store: FakeStore, count: int, plans: int = 1) -> None:
    """Returns when so much has expired."""
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        expiry = ImageExpiry(store, Background(tasks), time.time_ns)  # type: ignore[arg-type]
        for _ in range(plans):
            expiry.plan()
        while len(store.collected) < count:
            await asyncio.sleep(0.005)  # the thread tells nobody but the store
        expiry.close()


def test_expiry_takes_one_after_the_other() -> None:
    """What is due already, and what will be soon; planning twice does nothing twice."""
    now_ns = time.time_ns()
    store = FakeStore(now_ns - 1, now_ns + 20_000_000, now_ns + 10**15)
    asyncio.run(_expired(store, 2, plans=3))
    assert store.collected == [now_ns - 1, now_ns + 20_000_000]


def test_expiry_of_nothing_leaves_no_timer() -> None:
    """An idle daemon is not woken."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            expiry = ImageExpiry(FakeStore(), Background(tasks), time.time_ns)  # type: ignore[arg-type]
            expiry.plan()
            assert expiry._timer is None

    asyncio.run(run())
