"""Builds, as the server asks for them, in a test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from shoal.api.build import BuildOptions, PruneOptions
from shoal.api.progress import JSONMessage
from shoal.api.system import BuildPruneReport


@dataclass
class FakeBuilds:
    """Notes what was asked for, reads the context, and says so."""

    asked: list[BuildOptions] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    pruned: list[PruneOptions] = field(default_factory=list)

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[JSONMessage]:
        self.asked.append(options)
        size_bytes = 0
        async for piece in body:
            size_bytes += len(piece)
        yield JSONMessage(stream=f"{size_bytes} bytes\n")

    async def cancel(self, build_id: str) -> None:
        self.cancelled.append(build_id)

    async def send_cache(self, body: AsyncIterator[bytes]) -> str:
        return b"".join([piece async for piece in body]).hex()

    async def cache(self, build: str, *, is_whole: bool) -> AsyncIterator[bytes]:
        yield f"{build} {is_whole}".encode()

    async def state(self, build: str, step: int) -> str:
        return f"{build} {step}"

    async def prune(self, options: PruneOptions) -> BuildPruneReport:
        self.pruned.append(options)
        return BuildPruneReport()
