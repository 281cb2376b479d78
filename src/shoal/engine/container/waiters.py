"""Who waits for a container to change (Docker API v1.50 ContainerWait)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

Condition = Literal["not-running", "next-exit", "removed"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What a waiter learns: the exit code, and Docker's error sentence where there is one."""

    exit_code: int
    error: str = ""


class Waiters:
    """The futures that wait, by container and condition."""

    def __init__(self) -> None:
        self._waiting: defaultdict[tuple[str, Condition], list[asyncio.Future[Ending]]] = defaultdict(list)

    def wait(self, id: str, condition: Condition) -> asyncio.Future[Ending]:
        """A future that ends with the next time that `condition` comes true for the container."""
        future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._waiting[id, condition].append(future)
        future.add_done_callback(lambda done: self._forget((id, condition), done))
        return future

    def _forget(self, key: tuple[str, Condition], future: asyncio.Future[Ending]) -> None:
        waiting = self._waiting.get(key)
        if waiting and future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(key, None)

    def exited(self, id: str, ending: Ending) -> None:
        """The container's process ended."""
        self._resolve(id, "next-exit", ending)
        self._resolve(id, "not-running", ending)

    def removed(self, id: str, ending: Ending) -> None:
        """The container is gone: nobody waits for it any longer."""
        for condition in ("next-exit", "not-running", "removed"):
            self._resolve(id, condition, ending)

    def _resolve(self, id: str, condition: Condition, ending: Ending) -> None:
        for future in self._waiting.pop((id, condition), ()):
            if not future.done():
                future.set_result(ending)
