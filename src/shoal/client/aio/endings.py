"""How long calls may last, and what must not be cut short: the twin of `client.endings`, on an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from shoal.errors import TimedOut

_Result = TypeVar("_Result")


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[None]:
    """Bounds the awaits within an `async with` block, all together. None sets no limit.

    Raises: TimedOut.
    """
    try:
        async with asyncio.timeout(seconds) as scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise  # somebody else's, from within the block
        raise TimedOut("the time limit is over") from None


async def undisturbed(action: Callable[[], Awaitable[_Result]]) -> _Result:
    """What `action` returns, run to its end: a cancellation counts when it is over.

    A second cancellation does not wait: an engine that hangs must not make a program unstoppable.
    """
    task = asyncio.ensure_future(action())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            try:
                await asyncio.wait([task])
            finally:
                task.cancel()
        if not task.cancelled():
            task.exception()  # the cancellation is what counts; this marks the exception as seen
        raise


async def pause(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)
