"""A transport without an engine: each connection plays a script of answers, and keeps what it was sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import h11

from shoal.client.transport import Connection, Transport


def answer(status: int, body: bytes | object = b"", **headers: str) -> bytes:
    """The bytes of one HTTP answer; a body that is no bytes is sent as JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Api-Version": "1.50", "Content-Length": str(len(payload))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status} Words", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


def chunked(*pieces: bytes) -> bytes:
    """The bytes of an answer whose body comes in these pieces."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


PING = answer(200)
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


@dataclass(frozen=True)
class Received:
    """One request as an engine reads it."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedConnection(Connection):
    """Answers the nth request with the nth entry of its script; an empty entry hangs up."""

    script: list[bytes]
    received: list[Received] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    pending: bytes = b""
    half_closed: bool = False
    closed: bool = False
    _reader: h11.Connection = field(default_factory=lambda: h11.Connection(h11.SERVER))
    _request: h11.Request | None = None
    _body: bytes = b""

    def fileno(self) -> int:
        """There is none."""
        return -1

    def send_all(self, data: bytes) -> None:
        """Reads the bytes; a request that is complete gets its answer."""
        self._reader.receive_data(data)
        while (event := self._reader.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
            else:
                self._answer()
                return

    def _answer(self) -> None:
        assert self._request is not None
        headers = {name.decode(): value.decode() for name, value in self._request.headers}
        line = f"{self._request.method.decode()} {self._request.target.decode()}"
        if len(self.received) < len(self.script):
            self.pending += self.script[len(self.received)]
        self.received.append(Received(line, headers, self._body))
        self._reader = h11.Connection(h11.SERVER)

    def send_nowait(self, data: bytes) -> int:
        """Takes everything."""
        self.raw += data
        return len(data)

    def receive(self, size: int) -> bytes:
        """The next bytes of the script, at most 7 at a time: a stream may be cut anywhere."""
        data, self.pending = self.pending[: min(size, 7)], self.pending[min(size, 7) :]
        return data

    def close_write(self) -> None:
        """Remembers it."""
        self.half_closed = True

    def close(self) -> None:
        """Remembers it."""
        self.closed = True


@dataclass
class ScriptedTransport(Transport):
    """Its nth connection plays the nth script."""

    scripts: list[list[bytes]]
    connections: list[ScriptedConnection] = field(default_factory=list)

    @property
    def address(self) -> str:
        """A name for messages."""
        return "memory://"

    def connect(self) -> Connection:
        """The next connection."""
        connection = ScriptedConnection(self.scripts[len(self.connections)])
        self.connections.append(connection)
        return connection

    def received(self) -> list[Received]:
        """All requests, connection after connection."""
        return [request for connection in self.connections for request in connection.received]

    def requests(self) -> list[str]:
        """Their first lines."""
        return [request.line for request in self.received()]
