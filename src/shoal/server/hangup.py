"""Notice that a client has gone while nothing is read from it.

One epoll descriptor for all connections, itself watched by the event loop. A client that only closed its sending
half is still there on a Unix socket (poll reports POLLHUP only when both halves are closed). On TCP the two look the
same until something is sent, so there a closed half counts as gone, as with the reference's server.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable


class HangupWatch:
    """Calls back once when a watched client's connection is gone. Owns an epoll descriptor until `close`."""

    __slots__ = ("_callbacks", "_epoll", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], object]] = {}
        loop.add_reader(self._epoll.fileno(), self._on_hangup)

    def add(self, client: socket.socket, callback: Callable[[], object]) -> None:
        """Watch a client; `remove` must follow before its descriptor is closed or handed over."""
        mask = 0 if client.family == socket.AF_UNIX else select.EPOLLRDHUP
        self._callbacks[client.fileno()] = callback
        self._epoll.register(client.fileno(), mask | select.EPOLLONESHOT)  # EPOLLHUP and EPOLLERR come always

    def remove(self, client: socket.socket) -> None:
        """Watch a client no longer; does nothing where it was called back."""
        if self._callbacks.pop(client.fileno(), None) is not None:
            self._epoll.unregister(client.fileno())

    def _on_hangup(self) -> None:
        for number, _ in self._epoll.poll(0):
            callback = self._callbacks.pop(number, None)
            self._epoll.unregister(number)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Watch nobody any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._callbacks.clear()
