"""Work that nobody waits for."""

from __future__ import annotations

import asyncio
import inspect

from shoal.engine.background import Background


def test_spawn_cancelled_before_its_first_step_closes_its_work() -> None:
    """Else the interpreter complains of a coroutine that was never awaited."""

    async def test() -> None:
        async with asyncio.TaskGroup() as tasks:
            background = Background(tasks)

            async def work() -> None:
                raise AssertionError("it was cancelled before")

            coroutine = work()
            background.spawn(coroutine, "a test").cancel()
            await background.cancel()
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
