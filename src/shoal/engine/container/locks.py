"""One lock per container: two clients never change the same container at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ContainerLocks:
    """Locks by container id; one exists only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def hold(self, id: str) -> AsyncIterator[None]:
        """Holds the container's lock."""
        lock = self._locks.setdefault(id, asyncio.Lock())
        self._users[id] = self._users.get(id, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[id] -= 1
            if not self._users[id]:
                del self._users[id], self._locks[id]
