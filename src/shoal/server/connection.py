"""One client's connection: requests in, answers out, one after the other; h11 knows the protocol, this does the I/O.

The socket is a plain non-blocking one, read and written by the event loop without a transport, so that it can be
handed over as it is when a request turns it into a container's stream. A request that changes something runs to its
end though the client may have left; an answer that streams is cancelled when the client goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import h11

from shoal.api.stdcopy import STDOUT, encode_frame
from shoal.errors import InvalidArgument, NotModified, ShoalError
from shoal.linux.fd import Fd
from shoal.server.backend import Backend
from shoal.server.errors import error_body, status_of
from shoal.server.hangup import HangupWatch
from shoal.server.head import RAW_OK, HeadWriter
from shoal.server.messages import JSON, AnyReply, Body, Header, HijackReply, Reply, Request, StreamReply
from shoal.server.query import Query
from shoal.server.router import Router
from shoal.server.streams import closing

_log = logging.getLogger(__name__)

_RECEIVE_BYTES = 256 * 1024
_WITHOUT_LENGTH = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may take. Times in seconds."""

    connections: int = 4096
    head_bytes: int = 128 * 1024
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 600.0
    drain_bytes: int = 1024 * 1024
    drain_timeout_s: float = 2.0


class Activity(Enum):
    """What a connection does, which decides how it ends when the server stops."""

    IDLE = "waits for a request"
    BUSY = "answers one"
    ENDLESS = "streams until the client goes"


@dataclass(slots=True)
class Service:
    """What all connections share."""

    backend: Backend
    router: Router
    hangups: HangupWatch
    limits: Limits
    heads: HeadWriter
    is_stopping: bool = False


class ClientGone(ConnectionError):
    """The client closed its connection in the middle of a request's body."""


class Connection:
    """Serves one client until it goes. Owns the socket."""

    __slots__ = ("_body_ended", "_client_left", "_h11", "_loop", "_service", "_socket", "_task", "activity")

    def __init__(self, client: socket.socket, service: Service) -> None:
        self._socket = client
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=service.limits.head_bytes)
        self._task: asyncio.Task[None] | None = None
        self._body_ended = False
        self.activity = Activity.IDLE
        self._client_left = False

    async def run(self) -> None:
        """Nothing, when the connection has ended and is closed."""
        self._task = asyncio.current_task()
        try:
            while await self._exchange():
                self.activity = Activity.IDLE
        except asyncio.CancelledError:
            if not self._client_left:
                raise
        except (OSError, h11.ProtocolError):
            pass  # the client is gone, or cut its own request short: nobody is left to tell
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket; closing twice does nothing."""
        self._socket.close()

    async def _exchange(self) -> bool:
        """Whether another request may follow the one that was answered."""
        try:
            head = await self._next_head()
        except h11.RemoteProtocolError as error:
            return await self._refuse(error.error_status_hint, str(error))
        except TimeoutError:
            return await self._refuse(408, "the request did not arrive in time")
        if head is None:
            return False
        self.activity = Activity.BUSY
        self._body_ended = False
        reply = await self._answer(head)
        if isinstance(reply, HijackReply):
            await self._hand_over(head, reply)
            return False
        if isinstance(reply, StreamReply):
            await self._send_stream(reply)
        else:
            await self._send(reply, with_body=head.method != b"HEAD")
        return await self._is_reusable()

    # -- requests

    async def _next_head(self) -> h11.Request | None:
        """The next request's head, `None` where the client says no more.

        Raises: h11.RemoteProtocolError, TimeoutError where a head was begun and not ended in time.
        """
        has_begun = bool(self._h11.trailing_data[0])
        limits = self._service.limits
        try:
            async with asyncio.timeout(limits.head_timeout_s if has_begun else limits.idle_timeout_s) as timer:
                while True:
                    event = self._h11.next_event()
                    if isinstance(event, h11.Request):
                        return event
                    if event is not h11.NEED_DATA:
                        return None
                    data = await self._loop.sock_recv(self._socket, _RECEIVE_BYTES)
                    self._h11.receive_data(data)
                    if not has_begun:
                        has_begun = True
                        timer.reschedule(self._loop.time() + limits.head_timeout_s)
        except TimeoutError:
            if has_begun:
                raise
            return None

    async def _receive_body(self) -> bytes:
        """The next piece of the body, empty at its end.

        Raises: ClientGone, InvalidArgument where its framing is broken.
        """
        while not self._body_ended:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise InvalidArgument("malformed request body", why=str(error)) from error
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is h11.NEED_DATA:
                await self._receive_more()
            else:
                self._body_ended = True
        return b""

    async def _receive_more(self) -> None:
        if self._h11.they_are_waiting_for_100_continue:
            go_on = self._h11.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            await self._loop.sock_sendall(self._socket, go_on)
        data = await self._loop.sock_recv(self._socket, _RECEIVE_BYTES)
        if not data:
            raise ClientGone("the client closed the connection in the middle of the body")
        self._h11.receive_data(data)

    async def _answer(self, head: h11.Request) -> AnyReply:
        """What the handler says; every refusal becomes a reply here."""
        try:
            path, _, query = _origin_form(head.target).partition("?")
            match = self._service.router.match(head.method.decode("ascii"), path)
            request = Request(
                method=match.route.method,
                name=match.name,
                query=Query(query),
                version=match.version,
                headers=head.headers,
                body=Body(self._receive_body),
            )
            return await match.route.handler(self._service.backend, request)
        except NotModified:
            return Reply(304)
        except ShoalError as error:
            return Reply(status_of(error), error_body(error), JSON)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 (an edge: one request must not end the daemon)
            _log.exception("%s %s failed", head.method.decode(), head.target.decode())
            internal = ShoalError("internal error", why=f"{type(error).__name__}: {error}")
            return Reply(500, error_body(internal), JSON)

    # -- answers

    async def _send(self, reply: Reply, *, with_body: bool = True) -> None:
        headers = reply.headers
        if reply.status not in _WITHOUT_LENGTH:
            headers = [*headers, (b"Content-Length", b"%d" % len(reply.body))]
        head = self._service.heads.response(reply.status, reply.content_type, self._with_close(headers))
        wire = self._h11.send(head)
        if with_body and reply.body:
            wire += self._h11.send(h11.Data(data=reply.body))
        await self._loop.sock_sendall(self._socket, wire + self._h11.send(h11.EndOfMessage()))

    async def _send_stream(self, reply: StreamReply) -> None:
        if reply.is_endless:
            self.activity = Activity.ENDLESS
        async with closing(reply.pieces):
            head = self._service.heads.response(reply.status, reply.content_type, self._with_close(()))
            await self._loop.sock_sendall(self._socket, self._h11.send(head))
            self._service.hangups.add(self._socket, self._on_hangup)
            try:
                await self._send_pieces(reply)
            finally:
                self._service.hangups.remove(self._socket)
        await self._loop.sock_sendall(self._socket, self._h11.send(h11.EndOfMessage()))

    async def _send_pieces(self, reply: StreamReply) -> None:
        try:
            async for piece in reply.pieces:
                if piece:
                    await self._loop.sock_sendall(self._socket, self._h11.send(h11.Data(data=piece)))
        except OSError:
            raise  # the client has gone
        except Exception as error:
            # An edge: the status line is out, so all that is left is to cut the stream, which clients notice.
            _log.exception("a stream of %s broke off", reply.content_type.decode())
            raise ClientGone("the stream broke off") from error

    def _on_hangup(self) -> None:
        self._client_left = True
        if self._task is not None:
            self._task.cancel()

    def _with_close(self, headers: Sequence[Header]) -> Sequence[Header]:
        return [*headers, (b"Connection", b"close")] if self._service.is_stopping else headers

    async def _refuse(self, status: int, message: str) -> bool:
        """False: after what was no request nothing can follow."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = error_body(InvalidArgument(message))
            await self._send(Reply(status, body, JSON, ((b"Connection", b"close"),)))
            await self._linger()
        return False

    # -- between requests

    async def _is_reusable(self) -> bool:
        """Whether the connection is ready for another request; what is left of the body is read and dropped."""
        if not await self._drop_body():
            await self._linger()
            return False
        if self._service.is_stopping or self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    async def _drop_body(self) -> bool:
        """Whether the body ended within the limits; a client that still waits to be told to send is not told."""
        if self._h11.their_state is h11.SEND_BODY and self._h11.they_are_waiting_for_100_continue:
            return False
        limits = self._service.limits
        dropped = 0
        try:
            async with asyncio.timeout(limits.drain_timeout_s):
                while dropped <= limits.drain_bytes:
                    piece = await self._receive_body()
                    if not piece:
                        return True
                    dropped += len(piece)
        except (TimeoutError, InvalidArgument):
            pass
        return False

    async def _linger(self) -> None:
        """Close our half and read on a little: closing with unread bytes would destroy the answer on its way."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(self._service.limits.drain_timeout_s):
                while await self._loop.sock_recv(self._socket, _RECEIVE_BYTES):
                    pass
        except (OSError, TimeoutError):
            pass

    # -- hand-over

    async def _hand_over(self, head: h11.Request, reply: HijackReply) -> None:
        """Nothing, once the socket is another's; of a refusal after the head the stream tells, as Docker's does."""
        await self._drop_body()
        early, _ = self._h11.trailing_data
        if any(name == b"upgrade" for name, _ in head.headers):
            answer = self._h11.send(self._service.heads.upgraded(reply.content_type))
        else:
            answer = RAW_OK
        await self._loop.sock_sendall(self._socket, answer)
        try:
            await reply.connect(Fd(os.dup(self._socket.fileno())), early)
        except ShoalError as error:
            text = f"{error}\r\n".encode()
            await self._loop.sock_sendall(self._socket, encode_frame(STDOUT, text) if reply.mux else text)


def _origin_form(target: bytes) -> str:
    """The path and query of a request's target, which proxies write with scheme and host."""
    text = target.decode("ascii")
    if text.startswith("http://"):
        return "/" + text[7:].partition("/")[2]
    return text
