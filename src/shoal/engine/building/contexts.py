"""The context of a build: an archive that the client sends, or what a URL or a git repository gives.

It is received once, indexed, and never unpacked. `.dockerignore` is honoured here too, whoever sends. Of one that was
kept (kept_contexts.py) only what has changed is received.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from shoal.build.dockerfile.ignore import IgnoreRules, ignore_files
from shoal.build.dockerfile.instructions import Dockerfile
from shoal.build.dockerfile.parser import parse
from shoal.build.dockerfile.problems import DockerfileError, did_you_mean
from shoal.build.files import clean, leads_out, resolve
from shoal.engine.building.fetching import DOCKERFILE_MAX, Fetching
from shoal.engine.building.kept_contexts import KeptContexts
from shoal.engine.building.layers import BuildLayers
from shoal.engine.threads import BodyReader
from shoal.errors import Conflict, InvalidArgument
from shoal.image.archive_files import ArchiveFiles
from shoal.image.failures import explained
from shoal.image.tar.compression import read_chunks

T = TypeVar("T")
_DEFAULT = "Dockerfile"
REMOVED = b".shoal.removed"  # the names of what a kept context has no more, with NULs between
EXTRA = ".shoal.dockerfile"  # a Dockerfile from outside of the context, which shoal's client puts into it


@dataclass(frozen=True, slots=True)
class Context:
    """The files but for those that the rules `ignored` leave out, the parsed Dockerfile, and the time of the newest
    commit where the files have one. `token` is what the client names it by the next time, if it is kept."""

    files: ArchiveFiles
    dockerfile: Dockerfile
    ignored: IgnoreRules
    commit_s: int | None = None
    token: str = ""


class Contexts:
    """Receives contexts."""

    def __init__(self, layers: BuildLayers, fetching: Fetching, kept: KeptContexts) -> None:
        self._layers = layers
        self._fetching = fetching
        self._kept = kept

    @asynccontextmanager
    async def opened(
        self, body: AsyncIterator[bytes], remote: str, dockerfile: str, *, kept: str = ""
    ) -> AsyncIterator[Context]:
        """The context within the block.

        With `kept` it is kept afterwards: "new", or the token of the one to which `body` is the difference.
        Raises: InvalidArgument in Docker's words; Unavailable for a remote one; Conflict for an unknown token.
        """
        commit_s = None
        async with AsyncExitStack() as stack:
            token = ""
            if remote:
                files, commit_s = await self._fetching.context(remote)
            elif kept:
                files, token = await self._changed(body, "" if kept == "new" else kept, stack)
            else:
                files = await self.received(body)
            stack.callback(files.close)
            file, ignored = await asyncio.to_thread(_read, files, dockerfile or _DEFAULT)
            yield Context(files, file, ignored, commit_s, token)

    async def received(self, body: AsyncIterator[bytes]) -> ArchiveFiles:
        """The files of an archive, which the caller closes. Raises: InvalidArgument; Internal for a full disk."""
        path = self._layers.scratch_path("context")
        return await _reading(body, lambda chunks: ArchiveFiles.received(chunks, path), ArchiveFiles.close)

    async def _changed(self, body: AsyncIterator[bytes], token: str, stack: AsyncExitStack) -> tuple[ArchiveFiles, str]:
        """The kept context `token` ("" for a new one) after `body`, and the token that it has now."""
        id = self._kept.take(token)
        stack.push_async_callback(self._given_back, id)

        def work(chunks: Iterator[bytes]) -> tuple[ArchiveFiles, str]:
            files = self._kept.open(id, token)
            if files is None:
                raise Conflict("the build context is not kept any more", fix="send it as a whole")
            try:
                if files.receive(chunks, removals=REMOVED) or not token:
                    return files, self._kept.keep(id, files)
                self._kept.renew(id)
                return files, token
            except BaseException:
                files.close()
                raise

        return await _reading(body, work, lambda result: result[0].close())

    async def _given_back(self, id: str) -> None:
        if self._kept.give_back(id):
            await asyncio.to_thread(self._layers.purge)  # at once: the disk may be full


async def _reading(body: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], T], drop: Callable[[T], None]) -> T:
    """What `work` makes in a thread of the pieces of `body`; `drop` takes it where nobody waits for it any more."""
    reader = BodyReader(body)
    chunks = read_chunks(reader)  # type: ignore[arg-type]
    working = asyncio.get_running_loop().run_in_executor(None, work, chunks)
    try:
        return await asyncio.shield(working)
    except OSError as error:
        raise explained(error, doing="receive the build context") from error
    except asyncio.CancelledError:
        reader.abandon()
        await asyncio.wait((working,))
        if not working.cancelled() and working.exception() is None:
            drop(working.result())
        raise


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
    if entry.size > DOCKERFILE_MAX:
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
            text = files.head(path, min(entry.size, DOCKERFILE_MAX)).decode(errors="surrogateescape")
            return IgnoreRules.parse(text)
    return IgnoreRules(())
