"""Builds that nobody listens to any more."""

from __future__ import annotations

import asyncio

from shoal.engine.building.ending import ended


async def _tell_on_the_way_out(messages: asyncio.Queue[int]) -> None:
    try:
        while True:
            await messages.put(1)
    finally:
        for number in range(10):
            await messages.put(number)


def test_ended_full_queue_that_nobody_reads() -> None:
    """A build that is cancelled while its queue is full comes to its end, whatever it says on the way."""

    async def run() -> bool:
        messages: asyncio.Queue[int] = asyncio.Queue(2)
        task = asyncio.create_task(_tell_on_the_way_out(messages))
        while not messages.full():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait_for(ended(task, messages), 10)
        return task.cancelled()

    assert asyncio.run(run())
