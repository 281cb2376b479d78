"""HTTP/1.1 over one Connection: requests out, responses in, and the raw stream after a `101 UPGRADED`.

One request at a time, no threads. Own code, and only what a client of one known server needs: h11, which
reads the server's side, takes 7 ms to import, half of what a whole `shoal ps` may take. RFC 9112.
"""

from __future__ import annotations

import select

from shoal.client.aio.driver import receive, send_all
from shoal.errors import Internal, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping

    from shoal.client.transport import Connection

_RECEIVE_SIZE = 65536
_MOST_HEAD_BYTES = 1 << 20
_MOST_LINE_BYTES = 4096


class Hijacked:
    """A raw two-way stream that was an HTTP connection. Owns the connection."""

    __slots__ = ("connection", "content_type", "early")

    def __init__(self, connection: Connection, content_type: str, early: bytes) -> None:
        self.connection = connection
        self.content_type = content_type
        self.early = early

    @property
    def multiplexed(self) -> bool:
        """Whether the engine frames stdout and stderr (it says so since API 1.42; else ask the container)."""
        return self.content_type == "application/vnd.docker.multiplexed-stream"

    async def receive(self, size: int = _RECEIVE_SIZE) -> bytes:
        """The next bytes, those that came along with the answer's head first; b"" at the end."""
        if self.early:
            data, self.early = self.early[:size], self.early[size:]
            return data
        return await receive(self.connection, size)

    async def send(self, data: bytes) -> None:
        """Sends every byte. Raises: OSError."""
        await send_all(self.connection, data)

    def close(self) -> None:
        """Ends the stream in both directions."""
        self.connection.close()


class Response:
    """The head of an answer; its body is read on demand, once."""

    __slots__ = ("_exchange", "headers", "status")

    def __init__(self, exchange: HttpConnection, status: int, headers: Mapping[str, str]) -> None:
        self._exchange = exchange
        self.status = status
        self.headers = headers

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece as it comes. Raises: Unavailable if the engine goes away in the middle."""
        return self._exchange.body_chunks()

    async def read(self) -> bytes:
        """The whole body. Raises: Unavailable."""
        pieces = []
        async for piece in self.chunks():
            pieces.append(piece)
        return b"".join(pieces)

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of the body (a stream of JSON messages), each as soon as it is complete, without its end."""
        pending = b""
        async for chunk in self.chunks():
            *complete, pending = (pending + chunk).split(b"\n")
            for line in complete:
                if line.strip():
                    yield line.strip()
        if pending.strip():
            yield pending.strip()

    def hijack(self) -> Hijacked:
        """The raw stream that follows this answer. Raises: Internal if the engine did not upgrade."""
        return self._exchange.hijack(self)

    def fileno(self) -> int:
        """The connection's descriptor, for select; readable when more of the body came."""
        return self._exchange.connection.fileno()

    def has_buffered(self) -> bool:
        """Whether a part of the body came already, so that `fileno` may never become readable for it."""
        return self._exchange.has_buffered()

    def close(self) -> None:
        """Gives the rest of the body up, and the connection with it; after its end this does nothing."""
        self._exchange.give_up(self)


class HttpConnection:
    """One keep-alive connection. `idle` tells whether the next request may use it.

    `on_idle` is called with it when an answer was read to its end and the next request may come.
    """

    __slots__ = ("_complete", "_host", "_on_idle", "_present", "_received", "_remaining", "_reusable", "connection")

    def __init__(self, connection: Connection, host: str, on_idle: Callable[[HttpConnection], None]) -> None:
        self.connection = connection
        self._host = host
        self._on_idle = on_idle
        self._present: Response | None = None
        self._received = b""
        # What is left of the present body: its bytes, None for one in chunks, -1 for one that ends with the connection.
        self._remaining: int | None = 0
        self._complete = True
        self._reusable = True

    @property
    def idle(self) -> bool:
        """Whether the last exchange is complete and both sides keep the connection open."""
        if not self._complete or not self._reusable or self._received:
            return False
        # Between two exchanges a server sends nothing: what is readable is the end of the stream.
        if self.connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | AsyncIterable[bytes] = b""
    ) -> Response:
        """Sends the request and waits for the answer's head (final, or the 101 of an upgrade).

        A body of bytes gets a Content-Length, an iterable travels in chunks unless `headers` has the length.
        Raises: Unavailable when the engine hangs up, Internal when it talks something else than HTTP. The connection
        is closed when it raises.
        """
        fields = {"Host": self._host, "User-Agent": "shoal", **headers}
        in_chunks = False
        if isinstance(body, bytes):
            if body or method in ("POST", "PUT"):
                fields["Content-Length"] = str(len(body))
        elif "Content-Length" not in fields:
            fields["Transfer-Encoding"] = "chunked"
            in_chunks = True
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        head = "\r\n".join(lines).encode("latin-1")
        if b"\r" in head.replace(b"\r\n", b"") or head.count(b"\n") != len(fields):
            raise Internal("a header of the request has a line's end in it")
        self._complete = False
        try:
            try:
                await self._send_all(head + b"\r\n\r\n", body, in_chunks=in_chunks)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a large body answers and closes before it has read it all: read its answer.
                self._reusable = False
            return await self._head(method)
        except BaseException:
            self.close()
            raise

    async def _send_all(self, head: bytes, body: bytes | AsyncIterable[bytes], *, in_chunks: bool) -> None:
        if isinstance(body, bytes):
            await send_all(self.connection, head + body)
            return
        await send_all(self.connection, head)
        async for piece in body:
            if piece:
                await send_all(self.connection, b"%x\r\n%b\r\n" % (len(piece), piece) if in_chunks else piece)
        if in_chunks:
            await send_all(self.connection, b"0\r\n\r\n")

    async def _head(self, method: str) -> Response:
        while True:
            lines = await self._head_lines()
            version, _, rest = lines[0].partition(" ")
            digits = rest[:3]
            if not version.startswith("HTTP/1.") or not digits.isdecimal() or len(digits) != 3:
                raise _no_http(f"it begins with {lines[0][:40]!r}")
            status, headers = int(digits), _fields(lines[1:])
            if status == 101 or status >= 200:
                self._begin_body(method, status, version, headers)
                self._present = Response(self, status, headers)
                return self._present
            # 100 Continue and 103 carry nothing that we need

    async def _head_lines(self) -> list[str]:
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _MOST_HEAD_BYTES:
                raise _no_http("its head does not end")
            if self._received and not b"HTTP/1."[: len(self._received)] == self._received[:7]:
                raise _no_http(f"it begins with {self._received[:40]!r}")
            if not await self._receive():
                raise _hung_up("in the middle of an answer" if self._received else "without an answer")
        head, self._received = self._received[:end], self._received[end + 4 :]
        return head.decode("latin-1").split("\r\n")

    def _begin_body(self, method: str, status: int, version: str, headers: Mapping[str, str]) -> None:
        connection = headers.get("connection", "").lower()
        if version == "HTTP/1.0" or "close" in connection:
            self._reusable = False
        if method == "HEAD" or status in (101, 204, 304):
            self._remaining, self._complete = 0, True
        elif headers.get("transfer-encoding", "").lower().endswith("chunked"):
            self._remaining = None
        elif "content-length" in headers:
            length = headers["content-length"].strip()
            if not (length.isascii() and length.isdecimal()):
                raise _no_http(f"its length is {length!r}")
            self._remaining = int(length)
            self._complete = not self._remaining
        else:
            self._remaining, self._reusable = -1, False

    async def _receive(self) -> bool:
        """Whether more came."""
        try:
            data = await receive(self.connection, _RECEIVE_SIZE)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise _hung_up(error.strerror or "") from None
        self._received += data
        return bool(data)

    async def body_chunks(self) -> AsyncIterator[bytes]:
        """The pieces of the present answer's body until its end. Whoever stops before ends the connection."""
        try:
            while not self._complete:
                pieces = self._chunked() if self._remaining is None else self._counted()
                async for piece in pieces:
                    yield piece
        finally:
            if not self._complete:
                self.close()
            elif self._present is not None:
                self._present = None
                self._give_back()

    def _give_back(self) -> None:
        if self._reusable and not self._received:
            self._on_idle(self)
        else:
            self.close()

    def give_up(self, response: Response) -> None:
        """Closes the connection, unless that response was read to its end and another exchange may be under way."""
        if self._present is response:
            self.close()

    async def _counted(self) -> AsyncIterator[bytes]:
        """The next piece of a body whose length is known, or which ends with the connection."""
        assert self._remaining is not None
        if not self._received and not await self._receive():
            if self._remaining > 0:
                raise _hung_up("in the middle of an answer")
            self._complete = True
            return
        if self._remaining < 0:
            piece, self._received = self._received, b""
        else:
            piece, self._received = self._received[: self._remaining], self._received[self._remaining :]
            self._remaining -= len(piece)
            self._complete = not self._remaining
        yield piece

    async def _chunked(self) -> AsyncIterator[bytes]:
        """The next chunk, in the pieces in which it comes."""
        size_text = (await self._line()).partition(b";")[0].strip()
        try:
            left = int(size_text, 16)
        except ValueError:
            raise _no_http(f"a chunk's size is {size_text[:40]!r}") from None
        if left <= 0:
            while await self._line():
                pass  # trailers carry nothing that we need
            self._complete = True
            return
        while left:
            if not self._received and not await self._receive():
                raise _hung_up("in the middle of an answer")
            piece, self._received = self._received[:left], self._received[left:]
            left -= len(piece)
            yield piece
        if await self._line():
            raise _no_http("a chunk is longer than it said")

    async def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if len(self._received) > _MOST_LINE_BYTES:
                raise _no_http("a line does not end")
            if not await self._receive():
                raise _hung_up("in the middle of an answer")
        line, self._received = self._received[:end], self._received[end + 2 :]
        return line

    def has_buffered(self) -> bool:
        """Whether bytes were received that are not yet taken."""
        return bool(self._received)

    def hijack(self, response: Response) -> Hijacked:
        """The raw stream after a 101; this object must not be used any more.

        Raises: Internal if the engine did not upgrade.
        """
        if response.status != 101:
            self.close()
            raise Internal(f"the engine did not upgrade the connection (status {response.status})")
        early, self._received = self._received, b""
        self._reusable = False
        return Hijacked(self.connection, response.headers.get("content-type", ""), early)

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()


def _fields(lines: list[str]) -> dict[str, str]:
    """The headers by lower-case name; of one that comes twice the values, joined."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise _no_http(f"a header is {line[:40]!r}")
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers


def _no_http(why: str) -> Internal:
    return Internal("the engine's answer is not HTTP", why=why, fix="check DOCKER_HOST")


def _hung_up(why: str) -> Unavailable:
    return Unavailable("the engine closed the connection", why=why, fix="see shoald's log")
