"""Builds as the server asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from shoal.api.build import BuildOptions
from shoal.api.progress import JSONMessage
from shoal.engine.builds import Building, Builds
from shoal.engine.events import EventLog
from shoal.errors import InvalidArgument


class _Failing:
    async def build(self, _options: BuildOptions, _body: AsyncIterator[bytes]) -> AsyncGenerator[JSONMessage, None]:
        """One message, and an error."""
        yield JSONMessage(stream="x")
        raise InvalidArgument("no")


class _Collected(Builds):
    times = 0

    def collect(self) -> None:
        """Counts."""
        self.times += 1


async def _nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


def test_build_failed_collects(tmp_path: Path) -> None:
    """The cache is held to its share after builds that fail, too."""

    async def run() -> int:
        load = lambda: cast(Building, _Failing())  # noqa: E731 (one expression)
        builds = _Collected(load, str(tmp_path), cast(EventLog, None), lambda: 0)
        with pytest.raises(InvalidArgument):
            async for _ in builds.build(BuildOptions(), _nothing()):
                pass
        return builds.times

    assert asyncio.run(run()) == 1
