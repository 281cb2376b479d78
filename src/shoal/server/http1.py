"""HTTP/1.1 for the server's side, sans-I/O: bytes in, heads and bodies out, and the other way round.

    receive(bytes) ─▶ next_head() ─▶ next_piece() … "" ─▶ reply(…) | begin(…), piece(…) …, end() ─▶ next_cycle()
                                                        └▶ upgrade(…), then `unread` is no HTTP any more

The rules of the protocol are h11's; this is the one module of the server that knows it. Every answer carries the
headers of the Docker API.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

import h11

from shoal import __version__
from shoal.api.version import MAXIMUM
from shoal.server.messages import Header

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_WITHOUT_LENGTH = frozenset({204, 304})
_ALWAYS: tuple[Header, ...] = (
    (b"Api-Version", str(MAXIMUM).encode()),
    (b"Docker-Experimental", b"false"),
    (b"Ostype", b"linux"),
    (b"Server", f"shoal/{__version__} (linux)".encode()),
)

# The head for clients that do not ask for an upgrade; what follows is neither counted nor chunked.
RAW_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


class Malformed(Exception):
    """The client's bytes are no HTTP; `status` is what to answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Need(Enum):
    """What there is instead of a result."""

    DATA = "more bytes from the client"
    NOTHING = "no more requests will come"


class RequestHead(NamedTuple):
    """The first lines of a request; header names are in lower case."""

    method: str
    target: str
    headers: Sequence[Header]


class Clock:
    """The text of the present second, for the Date header; made once a second for all connections."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def date(self) -> bytes:
        """`Tue, 24 Nov 2026 07:34:50 GMT`."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode()
        return self._text


class ServerProtocol:
    """The protocol's state on one connection."""

    __slots__ = ("_clock", "_h11")

    def __init__(self, clock: Clock, *, most_head_bytes: int) -> None:
        self._clock = clock
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=most_head_bytes)

    # -- from the client

    def receive(self, data: bytes) -> None:
        """Take what the client sent; nothing means that it sends no more."""
        self._h11.receive_data(data)

    def next_head(self) -> RequestHead | Need:
        """The head of the next request. Raises: Malformed."""
        event = self._next()
        if isinstance(event, h11.Request):
            return RequestHead(event.method.decode("ascii"), event.target.decode("ascii"), list(event.headers))
        return Need.DATA if event is h11.NEED_DATA else Need.NOTHING

    def next_piece(self) -> bytes | Need:
        """The next piece of the body, empty at its end (and again after it). Raises: Malformed.

        All that has been received goes into one piece: a client's chunks are small, and each one has its price.
        """
        if self._h11.their_state is not h11.SEND_BODY:
            return b""
        event = self._next()
        if not isinstance(event, h11.Data):
            return Need.DATA if event is h11.NEED_DATA else b""
        pieces = [event.data]
        while isinstance(event := self._next(), h11.Data):
            pieces.append(event.data)
        return b"".join(pieces)

    def _next(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise Malformed(str(error), error.error_status_hint) from error

    @property
    def unread(self) -> bytes:
        """What came and was not used: the next request, or after an upgrade the first bytes of the stream."""
        return self._h11.trailing_data[0]

    @property
    def is_client_waiting_to_go_on(self) -> bool:
        """Whether the client sends its body only when it is told to (`Expect: 100-continue`)."""
        return self._h11.their_state is h11.SEND_BODY and self._h11.they_are_waiting_for_100_continue

    @property
    def is_broken(self) -> bool:
        """Whether the client's bytes stopped making sense, so that none of them can be used any more."""
        return self._h11.their_state is h11.ERROR

    # -- to the client

    @property
    def can_reply(self) -> bool:
        """Whether a head may be sent now."""
        return self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def go_on(self) -> bytes:
        """The answer to a client that waits to send its body."""
        return self._h11.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def reply(
        self, status: int, content_type: bytes | None, headers: Sequence[Header], body: bytes, *, with_body: bool
    ) -> bytes:
        """A whole answer; to a HEAD the body is only counted."""
        if status not in _WITHOUT_LENGTH:
            headers = [*headers, (b"Content-Length", b"%d" % len(body))]
        wire = self.begin(status, content_type, headers)
        if with_body and body:
            wire += self.piece(body)
        return wire + self.end()

    def begin(self, status: int, content_type: bytes | None, headers: Sequence[Header]) -> bytes:
        """The head of an answer; without a Content-Length the pieces that follow are chunked."""
        fields = [*_ALWAYS, (b"Date", self._clock.date()), *headers]
        if content_type is not None:
            fields.append((b"Content-Type", content_type))
        return self._h11.send(h11.Response(status_code=status, headers=fields, reason=_REASONS.get(status, b"")))

    def piece(self, data: bytes) -> bytes:
        """A piece of an answer's body."""
        return self._h11.send(h11.Data(data=data))

    def end(self) -> bytes:
        """The end of an answer's body."""
        return self._h11.send(h11.EndOfMessage())

    def upgrade(self, content_type: bytes) -> bytes:
        """The head after which the connection belongs to a container's streams."""
        switch = ((b"Content-Type", content_type), (b"Connection", b"Upgrade"), (b"Upgrade", b"tcp"))
        head = h11.InformationalResponse(status_code=101, headers=[*switch, *_ALWAYS], reason=b"UPGRADED")
        return self._h11.send(head)

    def next_cycle(self) -> bool:
        """Whether another request may follow; if so, the protocol is ready for it."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True


# What sending at the wrong moment raises: a client that cut its request short leaves the protocol in such a state.
OutOfTurn = h11.LocalProtocolError
