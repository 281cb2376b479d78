"""What is told of a build to clients that ask for events: each as it happens, whatever step it is of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shoal.api.progress import BuildStep, JSONMessage

Put = Callable[[JSONMessage], Awaitable[None]]


class EventReporter:
    """Puts an event for everything that it hears (`build.reporting.Reporter`)."""

    def __init__(self, put: Put) -> None:
        self._put = put

    async def _tell(self, step: int, event: str, text: str = "", total: int = 0, reasons: tuple[str, ...] = ()) -> None:
        told = BuildStep(step=step, event=event, text=text, total=total, reasons=list(reasons))
        await self._put(JSONMessage(build_step=told))

    async def began(self, step: int, total: int, text: str) -> None:
        """See Reporter."""
        await self._tell(step, "began", text, total)

    async def cached(self, step: int) -> None:
        """See Reporter."""
        await self._tell(step, "cached")

    async def running(self, step: int, id: str) -> None:
        """See Reporter."""
        await self._tell(step, "running", id)

    async def wrote(self, step: int, text: str) -> None:
        """See Reporter."""
        await self._tell(step, "wrote", text)

    async def ran(self, step: int, id: str) -> None:
        """See Reporter."""
        await self._tell(step, "ran", id)

    async def missed(self, step: int, reasons: list[str]) -> None:
        """See Reporter."""
        await self._tell(step, "missed", reasons=tuple(reasons))

    async def finished(self, step: int, image_id: str) -> None:
        """See Reporter."""
        await self._tell(step, "finished", image_id)

    async def passed(self, step: int) -> None:
        """See Reporter."""
        await self._tell(step, "finished")
