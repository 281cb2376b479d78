"""Work that nobody waits for."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from shoal.engine.background import Background


def test_spawn_cancelled_before_its_first_step_closes_its_work() -> None:
    """Else the interpreter complains of a coroutine that was never awaited."""

    async def test() -> None:
        async with asyncio.TaskGroup() as tasks:
            background = Background(tasks)

            async def work() -> None:
                raise AssertionError("it was cancelled before")

            coroutine = work()
            task = background.spawn(coroutine, "a test")
            assert task is not None
            task.cancel()
            await background.cancel()
            assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED

    asyncio.run(test())


def test_spawn_and_complete_after_the_end_begin_nothing() -> None:
    """What a timer or the end of a container would begin while shoald leaves, the next shoald does."""

    async def test() -> None:
        async with asyncio.TaskGroup() as tasks:
            background = Background(tasks)
            await background.cancel()

            async def work() -> None:
                raise AssertionError("it came too late")

            spawned, completed = work(), work()
            assert background.spawn(spawned, "a test") is None
            with pytest.raises(asyncio.CancelledError):
                await background.complete(completed)
            for coroutine in (spawned, completed):
                assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED

    asyncio.run(test())


def test_complete_goes_on_when_its_caller_leaves() -> None:
    """What a client has begun is not left half-done."""

    async def test() -> None:
        async with asyncio.TaskGroup() as tasks:
            background, gate, done = Background(tasks), asyncio.Event(), asyncio.Event()

            async def work() -> None:
                await gate.wait()
                done.set()

            caller = asyncio.ensure_future(background.complete(work()))
            await asyncio.sleep(0)
            caller.cancel()
            await asyncio.wait([caller])
            gate.set()
            await asyncio.wait_for(done.wait(), 5)

    asyncio.run(test())
