"""The files of a container in memory, for tests of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

from shoal.api.archive import CommitRequest, ExtractOptions, PathStat
from shoal.api.timestamps import NEVER
from shoal.errors import NotFound

COMMITTED_ID = "sha256:" + "c" * 64


class FakeArchives:
    """The container `c1` with one file, `/etc/motd`; `notes` has what it was asked."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def _check(self, ref: str, path: str) -> PathStat:
        if ref != "c1":
            raise NotFound(f"No such container: {ref}")
        if path != "/etc/motd":
            raise NotFound(f"Could not find the file {path} in container {ref}")
        return PathStat(name="motd", size=3, mode=0o644, mtime=NEVER)

    async def stat(self, ref: str, path: str) -> PathStat:
        return self._check(ref, path)

    async def read(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        return self._check(ref, path), self.export(ref)

    async def write(self, ref: str, path: str, body: AsyncIterator[bytes], options: ExtractOptions) -> None:
        self._check(ref, path)
        self.notes.append((path, options, b"".join([piece async for piece in body])))

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        self._check(ref, "/etc/motd")
        yield b"tar"
        yield b"ball"

    async def commit(self, request: CommitRequest) -> str:
        self._check(request.container, "/etc/motd")
        self.notes.append(request)
        return COMMITTED_ID
