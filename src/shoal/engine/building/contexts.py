"""The context of a build: an archive that the client sends, or what a URL or a git repository gives.

It is received once, indexed, and never unpacked. `.dockerignore` is honoured here too, whoever sends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shoal.build.dockerfile.ignore import IgnoreRules, ignore_files
from shoal.build.dockerfile.instructions import Dockerfile
from shoal.build.dockerfile.parser import parse
from shoal.build.dockerfile.problems import DockerfileError, did_you_mean
from shoal.build.files import clean, leads_out, resolve
from shoal.engine.building.fetching import Fetching
from shoal.engine.building.layers import BuildLayers
from shoal.engine.threads import BodyReader
from shoal.errors import InvalidArgument
from shoal.image.archive_files import ArchiveFiles
from shoal.image.failures import explained
from shoal.image.tar.compression import read_chunks
from shoal.image.tar.header import TarEntry
from shoal.image.tar.writer import encode_entry

_DOCKERFILE_MAX = 4 << 20
_DEFAULT = "Dockerfile"
EXTRA = ".shoal.dockerfile"  # a Dockerfile from outside of the context, which shoal's client puts into it


@dataclass(frozen=True, slots=True)
class Context:
    """The files but for those that the rules `ignored` leave out, the parsed Dockerfile, and the time of the newest
    commit where the files have one."""

    files: ArchiveFiles
    dockerfile: Dockerfile
    ignored: IgnoreRules
    commit_s: int | None = None


class Contexts:
    """Receives contexts."""

    def __init__(self, layers: BuildLayers, fetching: Fetching) -> None:
        self._layers = layers
        self._fetching = fetching

    @asynccontextmanager
    async def opened(self, body: AsyncIterator[bytes], remote: str, dockerfile: str) -> AsyncIterator[Context]:
        """The context within the block. Raises: InvalidArgument in Docker's words; Unavailable for a remote one."""
        commit_s = None
        if remote:
            files, commit_s = await self._fetching.context(remote)
        else:
            files = await self._received(body)
        try:
            file, ignored = await asyncio.to_thread(_read, files, dockerfile or _DEFAULT)
            yield Context(files, file, ignored, commit_s)
        finally:
            files.close()

    async def _received(self, body: AsyncIterator[bytes]) -> ArchiveFiles:
        reader = BodyReader(body)
        path = self._layers.scratch_path("context")
        receiving = asyncio.get_running_loop().run_in_executor(None, ArchiveFiles, read_chunks(reader), path)  # type: ignore[arg-type]
        try:
            return await asyncio.shield(receiving)
        except OSError as error:
            raise explained(error, doing="receive the build context") from error
        except asyncio.CancelledError:
            reader.abandon()
            await asyncio.wait((receiving,))
            if not receiving.cancelled() and receiving.exception() is None:
                receiving.result().close()
            raise


def one_file(name: str, content: bytes) -> Iterator[bytes]:
    """An archive with one file in it."""
    yield encode_entry(TarEntry(name.encode(), size=len(content)))
    yield content + bytes(-len(content) % 512) + bytes(1024)


def _read(files: ArchiveFiles, name: str) -> tuple[Dockerfile, IgnoreRules]:
    """The Dockerfile, and the rules of what is to be ignored, without which the files are afterwards."""
    if leads_out(name):
        raise InvalidArgument(f"the Dockerfile ({name}) must be within the build context")
    path = resolve(files, clean(name))
    entry = files.find(path)
    if entry is None and name == _DEFAULT and files.find(b"dockerfile") is not None:
        path, name = b"dockerfile", "dockerfile"
        entry = files.find(path)
    if entry is None or not entry.is_file:
        near = did_you_mean(name, [os.fsdecode(known) for known in files.names(b"")])
        raise InvalidArgument(f"Cannot locate specified Dockerfile: {name}", fix=near)
    if not entry.size:
        raise InvalidArgument(f"the Dockerfile ({name}) cannot be empty")
    if entry.size > _DOCKERFILE_MAX:
        raise InvalidArgument(f"the Dockerfile ({name}) is too large", why=f"{entry.size} bytes")
    text = files.head(path, entry.size).decode(errors="surrogateescape")
    ignored = _rules(files, path)
    if ignored:
        files.leave_out(lambda path: ignored.excludes(os.fsdecode(path)))
    if name == EXTRA:
        files.leave_out(lambda path: path == os.fsencode(EXTRA))
        name = _DEFAULT
    try:
        return parse(text, os.fsdecode(name)), ignored
    except DockerfileError as problem:
        # Nothing has been sent yet: the answer is one sentence, and all that a client shows.
        raise InvalidArgument(f"{problem.what}\n{problem.excerpt}", fix=problem.fix) from problem


def _rules(files: ArchiveFiles, dockerfile: bytes) -> IgnoreRules:
    """Those of the first file that has some for this Dockerfile."""
    for name in ignore_files(os.fsdecode(dockerfile)):
        path = os.fsencode(name)
        entry = files.find(path)
        if entry is not None and entry.is_file:
            text = files.head(path, min(entry.size, _DOCKERFILE_MAX)).decode(errors="surrogateescape")
            return IgnoreRules.parse(text)
    return IgnoreRules(())
