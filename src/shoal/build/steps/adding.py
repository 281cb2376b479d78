"""ADD's sources beyond the context's files: URLs, git repositories, and archives that are unpacked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from shoal.build.copying import Item, find_sources
from shoal.build.dockerfile.instructions import Add
from shoal.build.files import Files
from shoal.build.state import State
from shoal.build.steps.files import FileSteps, Origin, Words
from shoal.errors import InvalidArgument

_GIT = re.compile(r"(?:git://|git@|ssh://.*|https?://.*\.git(?:[#?].*)?\Z)", re.ASCII)


class Fetcher(Protocol):
    """Brings files from elsewhere. What it opens is gone when the context is left."""

    def url(self, url: str, checksum: str) -> AbstractAsyncContextManager[Files]:
        """One file, under the name that the URL gives it. Raises: Unavailable; InvalidArgument for a wrong sum."""

    def git(self, url: str, *, keep_git_dir: bool, checksum: str) -> AbstractAsyncContextManager[Files]:
        """The files of a repository. Raises: Unavailable, InvalidArgument."""

    def archive(self, files: Files, path: bytes) -> AbstractAsyncContextManager[Files | None]:
        """What the file at `path` holds, None where it is no archive. Raises: InvalidArgument for a damaged one."""


def is_url(source: str) -> bool:
    """Whether a source of ADD is elsewhere."""
    return source.startswith(("http://", "https://")) or is_repository(source)


def is_repository(source: str) -> bool:
    """Whether a source of ADD, or a context, is a git repository."""
    return _GIT.match(source) is not None


@asynccontextmanager
async def add_items(
    fetcher: Fetcher, add: Add, words: Words, context: Origin, steps: FileSteps, state: State
) -> AsyncIterator[Callable[[Files], list[Item]]]:
    """What the ADD brings, told on top of a base, within the block. Raises: as Fetcher, and as FileSteps.items."""
    if add.checksum and (len(words.sources) != 1 or not is_url(words.sources[0])):
        raise InvalidArgument("checksum can't be specified for non-HTTP(S) & non-Git sources")
    parts: list[Callable[[Files], list[Item]]] = []
    async with AsyncExitStack() as stack:
        for source in words.sources:
            one = replace(words, sources=(source,), heredocs=())
            if is_repository(source):
                opened = await stack.enter_async_context(
                    fetcher.git(source, keep_git_dir=add.keep_git_dir, checksum=words.checksum)
                )
                parts.append(_items(steps, replace(one, sources=("/",)), Origin(opened), state))
            elif is_url(source):
                opened = await stack.enter_async_context(fetcher.url(source, words.checksum))
                if add.unpack:
                    parts.append(await _unpacked(stack, fetcher, steps, one, Origin(opened), state, opened.names(b"")))
                else:
                    parts.append(_items(steps, replace(one, sources=("*",)), Origin(opened), state))
            elif add.unpack is False:
                parts.append(_items(steps, one, context, state))
            else:
                paths = [found.path for found in find_sources(context.files, source, command="ADD")]
                parts.append(await _unpacked(stack, fetcher, steps, one, context, state, paths))
        if words.heredocs:
            parts.append(_items(steps, replace(words, sources=()), context, state))
        yield lambda base: [item for part in parts for item in part(base)]


def _items(steps: FileSteps, words: Words, origin: Origin, state: State) -> Callable[[Files], list[Item]]:
    return lambda base: steps.items(words, origin, state, base)


async def _unpacked(
    stack: AsyncExitStack,
    fetcher: Fetcher,
    steps: FileSteps,
    words: Words,
    origin: Origin,
    state: State,
    paths: Sequence[bytes],
) -> Callable[[Files], list[Item]]:
    """The items of the files at `paths`, of archives what is in them."""
    archives: list[Files] = []
    for path in paths:
        entry = origin.files.find(path)
        if entry is not None and entry.is_file:
            opened = await stack.enter_async_context(fetcher.archive(origin.files, path))
            if opened is not None:
                archives.append(opened)
    if not archives:
        return _items(steps, words, origin, state)
    if len(archives) < len(paths):
        raise InvalidArgument("ADD of archives and other files in one source", fix="name them one by one")
    # The owners that an archive names are kept, as its directories are.
    inner = replace(words, sources=("/",))
    return lambda base: [
        item for archive in archives for item in steps.items(inner, Origin(archive, is_context=False), state, base)
    ]
