"""The end of a build that nobody listens to any more."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def ended(task: asyncio.Task[None], messages: asyncio.Queue[T]) -> None:
    """Nothing, once the task is done: what it still says is thrown away, so that a full queue does not hold it up."""
    while not task.done():
        said = asyncio.ensure_future(messages.get())
        await asyncio.wait((task, said), return_when=asyncio.FIRST_COMPLETED)
        said.cancel()
