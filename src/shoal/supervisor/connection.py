"""A supervisor's side of its connection to shoald: one at a time, the newest wins; runs in a supervisor.

shoald may go away at any moment and come back. Until then events wait here, as many as MAX_WAITING; what is older
is dropped, because a new shoald asks with `list` first and reads the exit records.
"""

from __future__ import annotations

import _socket
import os
import struct

from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import HANGUP, PEER_CLOSED, READABLE, WRITABLE
from shoal.supervisor.protocol import close_all, encode, receive, send_nowait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import Body

    # (kind, request id, body, descriptors)
    OnRequest = Callable[[str, int, Body, list[int]], None]

MAX_WAITING = 1000


class Connection:
    """Receives requests, and sends replies and events in their order."""

    __slots__ = ("_listener", "_loop", "_on_lost", "_on_request", "_peer", "_waiting", "_writing")

    def __init__(
        self, loop: Loop, listener: _socket.socket, on_request: OnRequest, on_lost: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._on_request = on_request
        self._on_lost = on_lost
        self._peer: _socket.socket | None = None
        self._waiting: list[tuple[bytes, list[int], bool]] = []
        self._writing = False
        listener.setblocking(False)
        loop.watch(listener.fileno(), READABLE, self._accept)

    @property
    def connected(self) -> bool:
        """Whether a shoald is there."""
        return self._peer is not None

    def event(self, kind: str, body: Body) -> None:
        """Tells shoald of something, now or once it is back."""
        self._send(encode(kind, 0, body), (), keep=True)

    def reply(self, request_id: int, body: Body, fds: Sequence[int] = ()) -> None:
        """Answers a request; descriptors are copied."""
        if self._peer is not None:
            self._send(encode("reply", request_id, body), fds)

    def error(self, request_id: int, body: Body) -> None:
        """Answers a request that failed, with what `describe_error` yields."""
        if self._peer is not None:
            self._send(encode("error", request_id, body), ())

    def _accept(self, _events: int) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        peer = _socket.socket(fileno=fd)
        # Only shoald's own user; root may do everything anyway.
        _, uid, _ = struct.unpack("3i", peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            peer.close()
            return
        if self._peer is not None:
            self._lost()
        self._peer = peer
        self._loop.watch(fd, READABLE | PEER_CLOSED, self._on_event)
        self._flush()

    def _on_event(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
        peer = self._peer
        while self._peer is not None and self._peer is peer:
            try:
                message = receive(peer, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                message = None
            if message is None:
                self._lost()
                return
            self._handle(*message)
        if events & HANGUP and self._peer is peer:
            self._lost()

    def _handle(self, kind: str, request_id: int, body: Body, fds: list[int]) -> None:
        try:
            self._on_request(kind, request_id, body, fds)
        except Exception as error:  # noqa: BLE001  the edge of this process: who asked must hear of it
            close_all(fds)
            self.error(request_id, describe_error(error, kind))

    def _lost(self) -> None:
        if self._peer is not None:
            self._loop.unwatch(self._peer.fileno())
            self._peer.close()
            self._peer = None
            self._writing = False
            for _, fds, keep in self._waiting:
                if not keep:
                    close_all(fds)
            self._waiting = [entry for entry in self._waiting if entry[2]]
            self._on_lost()

    def _send(self, payload: bytes, fds: Sequence[int], *, keep: bool = False) -> None:
        if not self._waiting and self._peer is not None and self._try(payload, fds):
            return
        # Copies, because the caller may close its own before this is sent.
        self._waiting.append((payload, [os.dup(fd) for fd in fds], keep))
        if len(self._waiting) > MAX_WAITING:
            close_all(self._waiting.pop(0)[1])
        self._want_write()

    def _flush(self) -> None:
        while self._waiting and self._peer is not None:
            payload, fds, _ = self._waiting[0]
            if not self._try(payload, fds):
                break
            self._waiting.pop(0)
            close_all(fds)
        self._want_write()

    def _try(self, payload: bytes, fds: Sequence[int]) -> bool:
        assert self._peer is not None
        try:
            send_nowait(self._peer, payload, fds)
        except BlockingIOError:
            return False
        except OSError:
            # It has gone; the loop tells so by a hang-up. The message waits for the next shoald.
            return False
        return True

    def _want_write(self) -> None:
        if self._peer is not None and self._writing != bool(self._waiting):
            self._writing = bool(self._waiting)
            self._loop.modify(self._peer.fileno(), READABLE | PEER_CLOSED | (WRITABLE if self._writing else 0))
