"""A registry that misbehaves as a test wishes: in memory, on loopback, one thread a connection."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import select
import socket
import ssl
import tarfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

Trick = Callable[["Exchange"], bool]


def digest_of(data: bytes) -> str:
    """The sha256 digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_tar(name: str, data: bytes) -> bytes:
    """A tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())

    @cached_property
    def body(self) -> bytes:
        """What the client sends, in chunks or at once."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self._handler.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self._handler.rfile.readline() or b"0", 16):
            pieces.append(self._handler.rfile.read(size))
            self._handler.rfile.readline()
        self._handler.rfile.readline()
        return b"".join(pieces)

    def take(self, size: int) -> None:
        """Read some of what the client sends, and hang up."""
        self._handler.rfile.read(size)
        self.cut()

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """Send it; `length` is what Content-Length claims, if it is to differ."""
        _ = self.body  # else the next request would begin with it
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(len(body) if length is None else length))
        self._handler.end_headers()
        self._handler.wfile.write(b"" if self.method == "HEAD" else body)
        if length is not None and length != len(body):
            self.cut()

    def begin(self, status: int, length: int, **headers: str) -> Callable[[bytes], object]:
        """Send the head of an answer; what it returns sends bytes of the body."""
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(length))
        self._handler.end_headers()
        return self._handler.wfile.write

    def raw(self) -> Callable[[bytes], object]:
        """What sends bytes of an answer, from its first line on."""
        return self._handler.wfile.write

    def is_left(self, timeout_s: float) -> bool:
        """Whether the client closes the connection within this time."""
        connection = self._handler.connection
        readable, _, _ = select.select([connection], [], [], timeout_s)
        return bool(readable) and not connection.recv(1, socket.MSG_PEEK)

    def cut(self) -> None:
        """End the connection here."""
        self._handler.close_connection = True


class BadRegistry:
    """Holds one repository `x/y`; `tricks` see each request before it is answered in the ordinary way."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        self.tricks: list[Trick] = []
        self.requests: list[Exchange] = []
        self.served: dict[threading.Thread, socket.socket] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.served[threading.current_thread()] = self.connection

            def do_GET(self) -> None:
                outer.serve(Exchange(self))

            do_POST = do_HEAD = do_PUT = do_PATCH = do_GET  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """Nothing: clients that leave are part of the tests."""

        self._server = Server((address, 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        place = f"[{address}]" if ":" in address else address
        self.host = f"{place}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> BadRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for thread, connection in self.served.items():
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(10)

    def put(self, data: bytes) -> dict[str, Any]:
        """Keep a blob; its digest and size."""
        self.blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def image(
        self, *tars: bytes, tag: str = "1", pack: Callable[[bytes], bytes] = gzip.compress, kind: str = "+gzip"
    ) -> str:
        """Keep an image of these layers under `tag`; its manifest's digest."""
        diff_ids = [digest_of(tar) for tar in tars]
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "n": tag}
        ).encode()
        layers = [{"mediaType": LAYER + kind, **self.put(pack(tar))} for tar in tars]
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}
        return self.keep(MANIFEST, {**document, "config": {"mediaType": CONFIG, **self.put(config)}}, tag)

    def keep(self, media_type: str, document: dict[str, Any], tag: str) -> str:
        """Keep a manifest under `tag` and its digest, which is returned."""
        raw = json.dumps(document).encode()
        self.manifests[tag] = self.manifests[digest_of(raw)] = (media_type, raw)
        return digest_of(raw)

    def asked(self, word: str) -> list[Exchange]:
        """The requests whose path has `word` in it."""
        return [exchange for exchange in self.requests if word in exchange.path]

    def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        self.requests.append(exchange)
        try:
            if any(trick(exchange) for trick in self.tricks):
                return
            self._serve(exchange)
        except (BrokenPipeError, ConnectionResetError):
            exchange.cut()

    def _take(self, exchange: Exchange) -> None:
        """A blob on its way here: begun or mounted by a POST, sent by PATCHes, ended by a PUT."""
        path, _, text = exchange.path.partition("?")
        query = dict(parse_qsl(text))
        if exchange.method == "POST":
            if query.get("mount") in self.blobs:
                exchange.answer(201)
                return
            path += str(len(self.uploads))
            self.uploads[path] = b""
        else:
            self.uploads[path] += exchange.body
        if exchange.method != "PUT":
            exchange.answer(202, Location=f"{path}?state=1")
        elif digest_of(self.uploads[path]) == query["digest"]:
            self.put(self.uploads[path])
            exchange.answer(201)
        else:
            exchange.answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"other content"}]}')

    def _serve(self, exchange: Exchange) -> None:
        _, _, last = exchange.path.rpartition("/")
        if exchange.method in ("GET", "HEAD") and "/manifests/" in exchange.path and last in self.manifests:
            media_type, raw = self.manifests[last]
            exchange.answer(200, raw, Content_Type=media_type, Docker_Content_Digest=digest_of(raw))
        elif "/blobs/" in exchange.path and last in self.blobs:
            data = self.blobs[last]
            begin = int(exchange.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
            span = {"Content_Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin else {}
            exchange.answer(206 if begin else 200, data[begin:], **span)
        elif exchange.path == "/v2/":
            exchange.answer(200, b"{}")
        elif "/blobs/uploads/" in exchange.path:
            self._take(exchange)
        elif exchange.method == "PUT" and "/manifests/" in exchange.path:
            media_type = exchange.headers["Content-Type"]
            self.manifests[last] = self.manifests[digest_of(exchange.body)] = (media_type, exchange.body)
            exchange.answer(201)
        else:
            exchange.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
