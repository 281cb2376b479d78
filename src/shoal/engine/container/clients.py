"""Clients that attached to a container that does not run yet: they wait here for its start."""

from __future__ import annotations

import select
from collections import defaultdict

from shoal.runtime.driver import Client


class WaitingClients:
    """Attached clients by container id. Owns their sockets until they are taken or dropped."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[Client]] = defaultdict(list)

    def add(self, id: str, client: Client) -> None:
        """Keeps a client until the container starts; those that have left meanwhile are let go."""
        waiting = self._waiting[id]
        for gone in [other for other in waiting if _has_left(other)]:
            waiting.remove(gone)
            gone.socket.close()
        waiting.append(client)

    def take(self, id: str) -> tuple[Client, ...]:
        """The container's clients, whose sockets the caller owns now."""
        return tuple(self._waiting.pop(id, ()))

    def drop(self, id: str) -> None:
        """Ends the connections of the container's clients."""
        for client in self.take(id):
            client.socket.close()


def _has_left(client: Client) -> bool:
    """Whether the client has closed its connection; one that only sends no more has not."""
    poll = select.poll()
    poll.register(client.socket.fileno(), 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
