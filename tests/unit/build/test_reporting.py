"""Docker's output in the order of the file, though steps run side by side."""

from __future__ import annotations

import asyncio

from shoal.build.reporting import ClassicReporter


def test_output_comes_in_the_order_of_the_file() -> None:
    """What a later step says waits until those before it are done."""

    async def scenario() -> str:
        told: list[str] = []

        async def emit(text: str) -> None:
            told.append(text)

        reporter = ClassicReporter(emit)
        await reporter.began(1, 2, "FROM a")
        await reporter.began(2, 2, "RUN b")
        await reporter.wrote(2, "second\n")
        await reporter.wrote(1, "first\n")
        await reporter.finished(2, "sha256:" + "2" * 64)
        await reporter.finished(1, "sha256:" + "1" * 64)
        return "".join(told)

    assert asyncio.run(scenario()) == (
        "Step 1/2 : FROM a\nfirst\n ---> 111111111111\nStep 2/2 : RUN b\nsecond\n ---> 222222222222\n"
    )


def test_a_step_that_writes_much_waits_for_its_turn() -> None:
    """Not more than a bounded part of what a later step writes is kept."""

    async def scenario() -> bool:
        async def emit(text: str) -> None:
            """Nobody reads it."""

        reporter = ClassicReporter(emit)
        writing = asyncio.create_task(reporter.wrote(2, "x" * (2 << 20)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waited = not writing.done()
        await reporter.finished(1, "")
        await writing
        return waited

    assert asyncio.run(scenario())
