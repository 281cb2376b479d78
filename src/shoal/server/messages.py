"""What a handler gets and what it gives: a request, and the four forms of an answer.

Reply         everything is known: status, headers, body
StreamReply   the head goes out at once, the pieces as they come
HijackReply   the connection stops being HTTP and is handed over
RelayReply    the connection stops being HTTP, and the server carries its bytes on
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from shoal.api.version import ApiVersion
from shoal.api.wire import decode, encode
from shoal.errors import InvalidArgument
from shoal.server.query import Query

if TYPE_CHECKING:
    from shoal.linux.fd import Fd
    from shoal.server.backend import Backend

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
TAR = b"application/x-tar"

MOST_JSON_BYTES = 16 * 1024 * 1024

Header: TypeAlias = tuple[bytes, bytes]
W = TypeVar("W")


class Body:
    """A request's body, piece by piece as it arrives; not reading on holds the client back.

    Iterating raises ConnectionError where the client goes away in the middle, InvalidArgument where its framing is
    broken.
    """

    __slots__ = ("_receive", "_timeout_s")

    def __init__(self, receive: Callable[[], Awaitable[bytes]], *, timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._receive()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, most_bytes: int) -> bytes:
        """The whole body. Raises: InvalidArgument where it is longer than `most_bytes`, or does not come in time."""
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                async for piece in self:
                    size_bytes += len(piece)
                    if size_bytes > most_bytes:
                        raise InvalidArgument("request body too large", why=f"the limit is {most_bytes} bytes")
                    pieces.append(piece)
        except TimeoutError as error:
            raise InvalidArgument("the request body did not arrive in time") from error
        return b"".join(pieces)


class Request:
    """One request: `name` is what the path has in the place of `{id}` or `{name}`, percent signs resolved."""

    __slots__ = ("body", "headers", "method", "name", "query", "version")

    def __init__(
        self,
        *,
        method: str,
        name: str,
        query: Query,
        version: ApiVersion,
        headers: Sequence[Header],
        body: Body,
    ) -> None:
        self.method = method
        self.name = name
        self.query = query
        self.version = version
        self.headers = headers
        self.body = body

    def header(self, name: bytes) -> bytes:
        """The value of a header, given in lower case; empty where it is absent."""
        return next((value for key, value in self.headers if key == name), b"")

    async def json(self, kind: type[W]) -> W:
        """The body as a wire type; an empty body is an empty object.

        Raises: InvalidArgument. Without the right Content-Type it is refused, which keeps web pages from posting here.
        """
        body = await self.body.read(MOST_JSON_BYTES)
        if not body:
            return decode(b"{}", kind)
        self.require_json()
        return decode(body, kind)

    def require_json(self) -> None:
        """Nothing, where the body says that it is JSON. Raises: InvalidArgument in Docker's words."""
        content_type = self.header(b"content-type").decode("latin-1")
        if not content_type:
            raise InvalidArgument("malformed Content-Type header (): mime: no media type")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise InvalidArgument(f"unsupported Content-Type header ({content_type}): must be 'application/json'")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is complete; without a content type there is no body."""

    status: int
    body: bytes = b""
    content_type: bytes | None = None
    headers: Sequence[Header] = ()


@dataclass(frozen=True, slots=True)
class StreamReply:
    """An answer in pieces, each sent as soon as it is there; cancelled when the client goes.

    An endless one (it waits for what may never happen) is cut off at once when the server stops.
    """

    pieces: AsyncIterator[bytes]
    content_type: bytes
    status: int = 200
    is_endless: bool = False
    headers: Sequence[Header] = ()


@dataclass(frozen=True, slots=True)
class HijackReply:
    """An answer after which the connection is no longer HTTP: `connect` gets the socket and the early bytes."""

    connect: Callable[[Fd, bytes], Awaitable[None]]
    mux: bool
    content_type: bytes


@dataclass(frozen=True, slots=True)
class RelayReply:
    """An answer in another protocol: `serve` gets the socket, on loan, and the early bytes, and ends when it does."""

    serve: Callable[[socket.socket, bytes], Awaitable[None]]


AnyReply: TypeAlias = Reply | StreamReply | HijackReply | RelayReply
if TYPE_CHECKING:
    Handler: TypeAlias = Callable[[Backend, Request], Awaitable[AnyReply]]


def json_reply(value: object, status: int = 200) -> Reply:
    """An answer whose body is a wire type."""
    return Reply(status, encode(value) + b"\n", JSON)


NO_CONTENT = Reply(204)
