"""HTTP/1.1 over one Connection: requests out, responses in, and the raw stream after a `101 UPGRADED`.

Blocking, one request at a time, no threads. The protocol itself is h11's; this module moves its bytes.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Mapping

import h11

from shoal.client.transport import Connection
from shoal.errors import Internal, Unavailable

_RECEIVE_SIZE = 65536


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

    def receive(self, size: int = _RECEIVE_SIZE) -> bytes:
        """The next bytes, those that came along with the answer's head first; b"" at the end."""
        if self.early:
            data, self.early = self.early[:size], self.early[size:]
            return data
        return self.connection.receive(size)

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

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece as it comes. Raises: Unavailable if the engine goes away in the middle."""
        return self._exchange.body_chunks()

    def read(self) -> bytes:
        """The whole body. Raises: Unavailable."""
        return b"".join(self.chunks())

    def lines(self) -> Iterator[bytes]:
        """The lines of the body (a stream of JSON messages), each as soon as it is complete, without its end."""
        pending = b""
        for chunk in self.chunks():
            *complete, pending = (pending + chunk).split(b"\n")
            for line in complete:
                if line.strip():
                    yield line.strip()
        if pending.strip():
            yield pending.strip()

    def fileno(self) -> int:
        """The connection's descriptor, for select; readable when more of the body came."""
        return self._exchange.connection.fileno()

    def has_buffered(self) -> bool:
        """Whether a part of the body came already, so that `fileno` may never become readable for it."""
        return self._exchange.has_buffered()

    def close(self) -> None:
        """Gives the rest of the body up, and the connection with it."""
        self._exchange.close()


class HttpConnection:
    """One keep-alive connection. `idle` tells whether the next request may use it."""

    __slots__ = ("_h11", "_host", "connection")

    def __init__(self, connection: Connection, host: str) -> None:
        self.connection = connection
        self._host = host
        self._h11 = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=1 << 20)

    @property
    def idle(self) -> bool:
        """Whether the last exchange is complete and both sides keep the connection open."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        if self._h11.our_state is not h11.IDLE or self._h11.their_state is not h11.IDLE:
            return False
        # Between two exchanges a server sends nothing: what is readable is the end of the stream.
        return self.connection.fileno() < 0 or not select.select([self.connection], [], [], 0)[0]

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] = b""
    ) -> Response:
        """Sends the request and waits for the answer's head (final, or the 101 of an upgrade).

        A body of bytes gets a Content-Length, an iterable travels in chunks unless `headers` has the length.
        Raises: Unavailable when the engine hangs up, Internal when it talks something else than HTTP.
        """
        fields = {"Host": self._host, "User-Agent": "shoal", **headers}
        if isinstance(body, bytes) and (body or method in ("POST", "PUT")):
            fields["Content-Length"] = str(len(body))
        elif not isinstance(body, bytes) and "Content-Length" not in fields:
            fields["Transfer-Encoding"] = "chunked"
        try:
            self._send_event(h11.Request(method=method, target=target, headers=list(fields.items())))
            self._send_body(body)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large body answers and closes before it has read it all: read its answer.
            pass
        return self._head()

    def _send_body(self, body: bytes | Iterable[bytes]) -> None:
        for piece in (body,) if isinstance(body, bytes) else body:
            if piece:
                self._send_event(h11.Data(data=piece))
        self._send_event(h11.EndOfMessage())

    def _send_event(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self.connection.send_all(data)

    def _head(self) -> Response:
        while True:
            event = self._next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue  # 100 Continue and 103 carry nothing that we need
            if isinstance(event, (h11.InformationalResponse, h11.Response)):
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event.headers}
                return Response(self, event.status_code, headers)
            raise _hung_up("without an answer")

    def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        ended = False
        try:
            while True:
                event = self._h11.next_event()
                if event is not h11.NEED_DATA:
                    return event  # type: ignore[return-value]  # NEED_DATA is excluded by the line above
                data = self.connection.receive(_RECEIVE_SIZE)
                ended = not data
                self._h11.receive_data(data)
        except h11.RemoteProtocolError as error:
            if ended:
                raise _hung_up("in the middle of an answer") from None
            raise Internal("the engine's answer is not HTTP", why=str(error), fix="check DOCKER_HOST") from None
        except (ConnectionResetError, BrokenPipeError) as error:
            raise _hung_up(error.strerror or "") from None

    def body_chunks(self) -> Iterator[bytes]:
        """The pieces of the present answer's body until its end."""
        while True:
            event = self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    def has_buffered(self) -> bool:
        """Whether bytes were received that are not yet taken."""
        return bool(self._h11.trailing_data[0])

    def hijack(self, response: Response) -> Hijacked:
        """The raw stream after a 101; this object must not be used any more.

        Raises: Internal if the engine did not upgrade.
        """
        if response.status != 101:
            raise Internal(f"the engine did not upgrade the connection (status {response.status})")
        early, _ = self._h11.trailing_data
        return Hijacked(self.connection, response.headers.get("content-type", ""), early)

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()


def _hung_up(why: str) -> Unavailable:
    return Unavailable("the engine closed the connection", why=why, fix="see shoald's log")
