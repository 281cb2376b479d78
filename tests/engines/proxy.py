"""An HTTP proxy on loopback: forwards, tunnels, asks for a password if told so, and notes what passes."""

from __future__ import annotations

import base64
import http.client
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Proxy:
    """Serves whoever has the name and password `login` ("ann:pw"); everyone, without one. Use in a `with` block.

    With `tls` it is one that is spoken to in TLS itself.

    Names that don't resolve lead to 127.0.0.1, as a proxy may know hosts that its clients don't.
    """

    def __init__(self, login: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.passed: list[str] = []
        self._connections: list[socket.socket] = []
        outer = self
        wanted = "Basic " + base64.b64encode(login.encode()).decode() if login else None

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def is_served(self) -> bool:
                outer._connections.append(self.connection)
                if wanted is None or self.headers.get("Proxy-Authorization") == wanted:
                    outer.passed.append(f"{self.command} {self.path}")
                    return True
                self.send_error(407)
                return False

            def do_CONNECT(self) -> None:
                if self.is_served():
                    host, _, port = self.path.rpartition(":")
                    with socket.create_connection(_address(host, int(port)), 10) as server:
                        self.send_response(200)
                        self.end_headers()
                        _pump(self.connection, server)
                self.close_connection = True

            def do_GET(self) -> None:
                if not self.is_served():
                    return
                parts = urlsplit(self.path)
                server = http.client.HTTPConnection(*_address(parts.hostname or "", parts.port or 80), timeout=10)
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                server.request("GET", path, headers={**self.headers, "Connection": "close"})
                answer = server.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Type", "Docker-Content-Digest", "WWW-Authenticate"):
                    if answer.getheader(name):
                        self.send_header(name, str(answer.getheader(name)))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                server.close()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Nothing: clients that leave are part of the tests."""

        self._server: socketserver.TCPServer = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in self._connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


def _address(host: str, port: int) -> tuple[str, int]:
    return ("127.0.0.1" if host.endswith(".test") else host.strip("[]")), port


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Bytes both ways until both have ended."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(server, client))
    back.start()
    copy(client, server)
    back.join()
