"""A transport without an engine: each connection plays a script of answers, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field

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


@dataclass
class ScriptedConnection(Connection):
    """Answers the nth request with the nth entry of its script; an empty entry hangs up."""

    script: list[bytes]
    sent: bytearray = field(default_factory=bytearray)
    pending: bytes = b""
    half_closed: bool = False
    closed: bool = False
    _requests: int = 0

    def fileno(self) -> int:
        """There is none."""
        return -1

    def send_all(self, data: bytes) -> None:
        """Keeps the bytes; a request that is complete gets its answer."""
        self.sent += data
        if self._ends_request(data):
            self.pending += self.script[self._requests] if self._requests < len(self.script) else b""
            self._requests += 1

    def _ends_request(self, data: bytes) -> bool:
        head, _, body = bytes(self.sent).rpartition(b"\r\n\r\n")
        request = head.rpartition(b"\r\n\r\n")[2] if b"chunked" not in head else head
        if b"Transfer-Encoding: chunked" in bytes(self.sent):
            return bytes(self.sent).endswith(b"0\r\n\r\n") and data.endswith(b"0\r\n\r\n")
        length = [line for line in request.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return len(body) == (int(length[-1].split(b":")[1]) if length else 0)

    def send_nowait(self, data: bytes) -> int:
        """Takes everything."""
        self.sent += data
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

    def requests(self) -> list[str]:
        """The first lines of all requests, connection after connection."""
        return [
            line.split(" HTTP/1.1")[0]
            for connection in self.connections
            for line in bytes(connection.sent).decode("latin-1").split("\r\n")
            if " HTTP/1.1" in line
        ]


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a stream socket: for the tests of what selects on descriptors."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
