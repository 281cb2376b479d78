"""What is told of a build while it runs: step by step in the order of the file, as Docker's classic builder prints it.

Steps run in parallel; what one writes before its turn has come is kept, and a step that writes much waits for its turn.
It never waits for ever: what comes before in the file needs nothing of what comes after.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol

from shoal.oci.digest import short_id

_KEPT_CHARACTERS = 1 << 20

Emit = Callable[[str], Awaitable[None]]


class Reporter(Protocol):
    """Hears of the steps, by their numbers."""

    async def began(self, step: int, total: int, text: str) -> None:
        """The step of this instruction begins."""

    async def cached(self, step: int) -> None:
        """The step was made before."""

    async def running(self, step: int, id: str) -> None:
        """The step's command runs, in a container of this id."""

    async def wrote(self, step: int, text: str) -> None:
        """The step, or what it does, says this."""

    async def ran(self, step: int, id: str) -> None:
        """The step's command has ended well."""

    async def missed(self, step: int, reasons: list[str]) -> None:
        """The step was not in the cache, for these reasons."""

    async def finished(self, step: int, image_id: str) -> None:
        """The step is done; the image is this one now, "" for none."""

    async def passed(self, step: int) -> None:
        """The step is done, and made no image: an ARG before the first FROM."""


class ClassicReporter:
    """Writes Docker's text through `emit`, in the order of the steps."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._turn = 1
        self._kept: defaultdict[int, list[str]] = defaultdict(list)
        self._finished: set[int] = set()
        self._changed = asyncio.Condition()

    async def began(self, step: int, total: int, text: str) -> None:
        """See Reporter."""
        await self.wrote(step, f"Step {step}/{total} : {text}\n")

    async def cached(self, step: int) -> None:
        """See Reporter."""
        await self.wrote(step, " ---> Using cache\n")

    async def running(self, step: int, id: str) -> None:
        """See Reporter."""
        await self.wrote(step, f" ---> Running in {short_id(id)}\n")

    async def ran(self, step: int, id: str) -> None:
        """See Reporter."""
        await self.wrote(step, f"Removing intermediate container {short_id(id)}\n")

    async def missed(self, step: int, reasons: list[str]) -> None:
        """See Reporter; Docker says nothing of it."""

    async def finished(self, step: int, image_id: str) -> None:
        """See Reporter."""
        await self.wrote(step, f" ---> {short_id(image_id)}\n")
        await self.passed(step)

    async def passed(self, step: int) -> None:
        """See Reporter."""
        async with self._changed:
            self._finished.add(step)
            while self._turn in self._finished:
                self._turn += 1
                for text in self._kept.pop(self._turn, ()):
                    await self._emit(text)
            self._changed.notify_all()

    async def wrote(self, step: int, text: str) -> None:
        """See Reporter."""
        async with self._changed:
            if step > self._turn:
                self._kept[step].append(text)
                while step > self._turn and sum(map(len, self._kept[step])) > _KEPT_CHARACTERS:
                    await self._changed.wait()
            else:
                await self._emit(text)
