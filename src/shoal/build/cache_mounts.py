"""`RUN --mount=type=cache`: directories that outlive builds, and who may have one at a time.

    shared    everybody has the same directory, at once
    locked    everybody has the same one, one after the other
    private   who comes while it is in use gets another one, which is kept for the next time

A directory is filled beside its place and renamed, so that a killed shoald leaves it whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from shoal.errors import Internal


class Trash(Protocol):
    """Takes directories away."""

    def discard(self, path: str) -> None:
        """Take `path` out of sight at once."""


@dataclass(frozen=True, slots=True)
class CacheDirectory:
    """One directory on disk; `used_ns` is when a command had it last."""

    name: str
    path: str
    used_ns: int
    in_use: bool


class CacheMounts:
    """The caches under `root`. Used on the event loop."""

    def __init__(self, root: str, trash: Trash) -> None:
        self._root = root
        self._trash = trash
        self._users: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}
        for name in _listed(root):
            if name.startswith("."):
                trash.discard(os.path.join(root, name))  # half made, by a shoald that was killed

    @asynccontextmanager
    async def taken(
        self, id: str, sharing: str, *, owner: tuple[int, int], mode: int, fill: Callable[[str], None]
    ) -> AsyncIterator[str]:
        """The directory of the cache `id` within the block; a new one is made, with this owner and mode, and filled.

        Raises: Internal where it can't be made.
        """
        name = hashlib.sha256(id.encode()).hexdigest()[:32]
        if sharing == "private":
            name = next(free for free in _numbered(name) if not self._users[free])
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] += 1
        try:
            if sharing == "locked":
                async with lock:
                    yield await asyncio.to_thread(self._directory, name, owner, mode, fill)
            else:
                async with lock:
                    path = await asyncio.to_thread(self._directory, name, owner, mode, fill)
                yield path
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]

    def directories(self) -> list[CacheDirectory]:
        """All that there are."""
        names = [name for name in _listed(self._root) if not name.startswith(".")]
        return [
            CacheDirectory(name, os.path.join(self._root, name), _used_ns(self._root, name), bool(self._users[name]))
            for name in sorted(names)
        ]

    def remove(self, directory: CacheDirectory) -> bool:
        """Take the directory away; False where a command has it."""
        if self._users.get(directory.name):
            return False
        self._trash.discard(directory.path)
        return True

    def _directory(self, name: str, owner: tuple[int, int], mode: int, fill: Callable[[str], None]) -> str:
        path = os.path.join(self._root, name)
        try:
            if not os.path.isdir(path):
                os.makedirs(self._root, mode=0o700, exist_ok=True)
                new = os.path.join(self._root, f".{name}-{os.urandom(4).hex()}")
                os.mkdir(new, 0o700)
                fill(new)
                os.chown(new, *owner)
                os.chmod(new, mode)
                os.rename(new, path)
            os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
        except OSError as error:
            raise Internal("failed to make a cache directory", why=os.strerror(error.errno or 0)) from error
        return path


def _numbered(name: str) -> Iterator[str]:
    """The names of a cache's directories: the first, and as many others as are in use at once."""
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _used_ns(root: str, name: str) -> int:
    try:
        return os.stat(os.path.join(root, name)).st_atime_ns
    except FileNotFoundError:
        return 0
