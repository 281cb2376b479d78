"""A WebSocket client on an engine's unix socket: the protocol is wsproto's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)


class WebSocketClient:
    """One connection; `response` is how the engine answered the request for it."""

    def __init__(self, path: str, target: str, *, subprotocols: list[str] | None = None, timeout_s: float = 20) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._socket.connect(path)
        self._connection = WSConnection(ConnectionType.CLIENT)
        # The reference refuses a request without an origin.
        request = Request(
            host="docker",
            target=target,
            subprotocols=subprotocols or [],
            extra_headers=[(b"Origin", b"http://docker")],
        )
        self._socket.sendall(self._connection.send(request))
        self._events = self._receive()
        self.response = next(self._events)

    @property
    def is_open(self) -> bool:
        """Whether the engine speaks the protocol."""
        return isinstance(self.response, AcceptConnection)

    @property
    def status(self) -> int:
        """The status of a refusal."""
        assert isinstance(self.response, RejectConnection)
        return self.response.status_code

    def _receive(self) -> Iterator[Event]:
        while True:
            yield from self._connection.events()
            data = self._socket.recv(65536)
            self._connection.receive_data(data or None)
            if not data:
                yield from self._connection.events()
                return

    def send(self, event: Event) -> None:
        """One event to the engine."""
        self._socket.sendall(self._connection.send(event))

    def read(self, size: int) -> tuple[bytes, set[type]]:
        """At least `size` bytes of output, or what came before the end; and the kinds of frames that carried it."""
        received, kinds = bytearray(), set()
        while len(received) < size:
            event = next(self._events, None)
            if event is None or isinstance(event, CloseConnection):
                break
            if isinstance(event, TextMessage | BytesMessage):
                kinds.add(type(event))
                received += event.data.encode() if isinstance(event.data, str) else event.data
        return bytes(received), kinds

    def read_to_close(self) -> tuple[bytes, CloseConnection | None]:
        """What comes until the engine closes, and how it says so (None where it just goes)."""
        received = bytearray()
        for event in self._events:
            if isinstance(event, TextMessage | BytesMessage):
                received += event.data.encode() if isinstance(event.data, str) else event.data
            if isinstance(event, CloseConnection):
                return bytes(received), event
        return bytes(received), None

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()
