"""A server that answers what `docker run`, `exec` and `ps` ask at once, and runs nothing: the command's own time.

    python -m tests.perf.floor SOCKET

What a figure of an engine is above this one, the engine takes; below it no engine can come, however fast.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import urlsplit

ID = "a" * 64
_CONTAINER = {"Id": ID, "Name": "/x", "State": {"Running": True}, "Config": {"Tty": False}, "HostConfig": {}}
_EXEC = {"ID": ID, "Running": False, "ExitCode": 0, "ContainerID": ID, "Pid": 1, "ProcessConfig": {}}
_STREAM = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
_UPGRADED = _STREAM + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
_WAITING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_ENDED = b'{"StatusCode":0}\n'


class _Handler(BaseHTTPRequestHandler):
    """One connection of the command. The one run at a time shares its open ends in `held`."""

    protocol_version = "HTTP/1.1"
    held: ClassVar[dict[str, socket.socket]] = {}

    def do_HEAD(self) -> None:
        self._reply(HTTPStatus.OK, None)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.endswith("/containers/json"):
            self._reply(HTTPStatus.OK, [])
        else:
            self._reply(HTTPStatus.OK, _EXEC if "/exec/" in path else _CONTAINER)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.endswith(("/create", "/exec")):
            self._reply(HTTPStatus.CREATED, {"Id": ID, "Warnings": []})
        elif path.endswith("/attach"):
            self._hold("stream", _UPGRADED)
        elif path.endswith("/wait"):
            self._hold("wait", _WAITING)
        elif "/exec/" in path:
            self.connection.sendall(_UPGRADED)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self._reply(HTTPStatus.NO_CONTENT, None)
            self._end()

    def _hold(self, name: str, head: bytes) -> None:
        """Answers with `head`, and keeps the connection for the container's end."""
        self.held[name] = self.connection.dup()
        self.connection.sendall(head)
        self.rfile.read()  # until the command closes it

    def _end(self) -> None:
        if stream := self.held.pop("stream", None):
            stream.shutdown(socket.SHUT_RDWR)
            stream.close()
        if wait := self.held.pop("wait", None):
            wait.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(_ENDED), _ENDED))
            wait.close()

    def _reply(self, status: HTTPStatus, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nApi-Version: 1.50\r\nOstype: linux\r\n"
        length = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.connection.sendall((head + length).encode() + data)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, str]:
        """The connection, with a name in the place of the address that a local one does not have."""
        connection, _ = super().get_request()
        return connection, "local"


def main() -> None:
    """Serves the socket of the command line until killed."""
    path = sys.argv[1]
    if os.path.exists(path):
        os.unlink(path)
    _Server(path, _Handler).serve_forever()


if __name__ == "__main__":
    main()
