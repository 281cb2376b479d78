"""The resolvers of all containers that have one."""

from __future__ import annotations

import os

from shoal.network.dns.names import Names
from shoal.network.dns.resolver import Resolver, Spawn
from shoal.network.dns.sockets import NamespaceSockets


class Resolvers:
    """Opens and closes resolvers. Nothing of it exists, no thread and no socket, before the first is opened."""

    def __init__(self, names: Names, spawn: Spawn) -> None:
        """`spawn` begins a task that lives no longer than the daemon serves."""
        self._names = names
        self._spawn = spawn
        self.sockets = NamespaceSockets()
        self._resolvers: dict[str, Resolver] = {}

    async def open(self, container_id: str, pid: int, *, anew: bool = False) -> None:
        """Answers the container at 127.0.0.11 of the network namespace of `pid`; does so already: nothing.

        `anew`: a shoald before this one did. Raises: SyscallError (the process has gone), NftError.
        """
        present = self._resolvers.get(container_id)
        if present is not None and _is_namespace_of(present.namespace_fd, pid):
            return
        place = await self.sockets.listen(pid, anew=anew)
        self.close(container_id)
        self._resolvers[container_id] = Resolver(container_id, place, self._names, self.sockets, self._spawn)

    def is_open(self, container_id: str) -> bool:
        """Whether the container has a resolver."""
        return container_id in self._resolvers

    def close(self, container_id: str) -> None:
        """Answers the container no more; harmless when it has no resolver."""
        resolver = self._resolvers.pop(container_id, None)
        if resolver is not None:
            resolver.close()

    def close_all(self) -> None:
        """Lets go of every namespace, and ends the thread: shoald leaves, or a test has ended."""
        for container_id in list(self._resolvers):
            self.close(container_id)
        self.sockets.close()


def _is_namespace_of(namespace: int, pid: int) -> bool:
    """Whether `pid` is in the network namespace behind the descriptor."""
    try:
        return os.fstat(namespace).st_ino == os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return False
