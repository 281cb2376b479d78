"""Work that nobody waits for: owned by one task group, and its failures told once, in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from shoal.errors import ShoalError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Background:
    """Tasks of the engine. They live no longer than the `tasks` that they are started in."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._is_over = False

    def spawn(self, work: Coroutine[Any, Any, object], what: str) -> asyncio.Task[None] | None:
        """Starts `work`; `what` names it in the log should it fail. None after `cancel`: it is not begun any more."""
        return self._start(_guard(work, what), work, what)

    async def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which runs to its end even when the caller is cancelled.

        Raises: what `work` raises; CancelledError after `cancel`.
        """
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._start(_settle(work, outcome), work, "a client's request") is None:
            outcome.cancel()
        return await asyncio.shield(outcome)

    async def cancel(self) -> None:
        """Ends all that still runs: what a start or a stop leaves half-done, the next shoald repairs."""
        self._is_over = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _start(
        self, wrapper: Coroutine[Any, Any, None], work: Coroutine[Any, Any, object], name: str
    ) -> asyncio.Task[None] | None:
        if self._is_over:
            wrapper.close()
            work.close()
            return None
        task = self._tasks.create_task(wrapper, name=name)
        self._running.add(task)
        # A task that is cancelled before its first step never comes to awaiting its work.
        task.add_done_callback(lambda _: work.close())
        task.add_done_callback(self._running.discard)
        return task


async def _settle(work: Coroutine[Any, Any, T], outcome: asyncio.Future[T]) -> None:
    try:
        result = await work
    except asyncio.CancelledError:
        outcome.cancel()
        raise
    except Exception as problem:  # noqa: BLE001 - it is raised where the outcome is awaited
        if not outcome.done():
            outcome.set_exception(problem)
            outcome.exception()  # seen: a caller that has gone needs no warning
    else:
        if not outcome.done():
            outcome.set_result(result)


async def _guard(work: Coroutine[Any, Any, object], what: str) -> None:
    try:
        await work
    except ShoalError as problem:
        _log.error("%s failed: %s", what, problem)
    except Exception:  # noqa: BLE001 - the edge of a task that nobody awaits: one failure must not end the daemon
        _log.exception("%s failed", what)
