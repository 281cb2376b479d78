"""One client's connection: requests in, answers out, one after the other. `http1` is the protocol, this the I/O.

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

from shoal.api.stdcopy import STDOUT, encode_frame
from shoal.errors import InvalidArgument, NotModified, ShoalError
from shoal.linux.fd import Fd
from shoal.server.backend import Backend
from shoal.server.errors import error_body, status_of
from shoal.server.hangup import HangupWatch
from shoal.server.http1 import RAW_HEAD, Clock, Malformed, Need, OutOfTurn, RequestHead, ServerProtocol
from shoal.server.messages import JSON, AnyReply, Body, Header, HijackReply, RelayReply, Reply, Request, StreamReply
from shoal.server.pages import refuse_pages
from shoal.server.query import Query
from shoal.server.router import Router
from shoal.server.streams import closing

_log = logging.getLogger(__name__)

_HEAD_BYTES = 16 * 1024  # small, since every receive allocates so much
_BODY_BYTES = 256 * 1024
_CLOSE: Header = (b"Connection", b"close")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may take. Times in seconds."""

    connections: int = 4096
    head_bytes: int = 128 * 1024
    head_timeout_s: float = 30.0
    body_timeout_s: float = 60.0  # of a body that is read as a whole; uploads take as long as they take
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
    clock: Clock
    is_stopping: bool = False


class ClientGone(ConnectionError):
    """The client closed its connection in the middle of a request's body, or of an answer."""


class Connection:
    """Serves one client until it goes. Owns the socket."""

    __slots__ = ("_client_left", "_loop", "_may_be_page", "_protocol", "_service", "_socket", "_task", "activity")

    def __init__(self, client: socket.socket, service: Service, *, may_be_page: bool = False) -> None:
        self._socket = client
        self._may_be_page = may_be_page
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(service.clock, most_head_bytes=service.limits.head_bytes)
        self._task: asyncio.Task[None] | None = None
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
        except (OSError, OutOfTurn):
            pass  # the client is gone, or cut its own request short: nobody is left to tell
        except Exception:  # noqa: BLE001 (an edge: one connection must not end the daemon)
            _log.exception("a connection broke off")
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket; closing twice does nothing."""
        self._socket.close()

    async def _exchange(self) -> bool:
        """Whether another request may follow the one that was answered."""
        try:
            head = await self._next_head()
        except Malformed as error:
            return await self._refuse(error.status, str(error))
        except TimeoutError:
            return await self._refuse(408, "the request did not arrive in time")
        if head is None:
            return False
        self.activity = Activity.BUSY
        reply = await self._answer(head)
        if isinstance(reply, HijackReply):
            await self._hand_over(head, reply)
            return False
        if isinstance(reply, RelayReply):
            await self._relay(reply)
            return False
        if isinstance(reply, StreamReply):
            await self._send_stream(reply)
        else:
            await self._send(reply, with_body=head.method != "HEAD")
        return await self._is_reusable()

    # -- requests

    async def _next_head(self) -> RequestHead | None:
        """The next request's head, `None` where the client says no more.

        Raises: Malformed; TimeoutError where a head was begun and not ended in time.
        """
        limits = self._service.limits
        has_begun = bool(self._protocol.unread)
        try:
            async with asyncio.timeout(limits.head_timeout_s if has_begun else limits.idle_timeout_s) as timer:
                while (head := self._protocol.next_head()) is Need.DATA:
                    self._protocol.receive(await self._loop.sock_recv(self._socket, _HEAD_BYTES))
                    if not has_begun:
                        has_begun = True
                        timer.reschedule(self._loop.time() + limits.head_timeout_s)
        except TimeoutError:
            if has_begun:
                raise
            return None
        return head if isinstance(head, RequestHead) else None

    async def _receive_body(self) -> bytes:
        """The next piece of the body, empty at its end.

        Raises: ClientGone, InvalidArgument where its framing is broken.
        """
        try:
            while isinstance(piece := self._protocol.next_piece(), Need):
                if self._protocol.is_client_waiting_to_go_on:
                    await self._write(self._protocol.go_on())
                data = await self._loop.sock_recv(self._socket, _BODY_BYTES)
                if not data:
                    raise ClientGone("the client closed the connection in the middle of the body")
                self._protocol.receive(data)
        except Malformed as error:
            raise InvalidArgument("malformed request body", why=str(error)) from error
        return piece

    async def _answer(self, head: RequestHead) -> AnyReply:
        """What the handler says; every refusal becomes a reply here."""
        path, _, query = _origin_form(head.target).partition("?")
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s", head.method, path)
        try:
            if self._may_be_page:
                refuse_pages(head.headers)
            match = self._service.router.match(head.method, path)
            request = Request(
                method=head.method,
                name=match.name,
                query=Query(query),
                version=match.version,
                headers=head.headers,
                body=Body(self._receive_body, timeout_s=self._service.limits.body_timeout_s),
            )
            return await match.route.handler(self._service.backend, request)
        except NotModified:
            return Reply(304)
        except ShoalError as error:
            return Reply(status_of(error), error_body(error), JSON)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 (an edge: one request must not end the daemon)
            _log.exception("%s %s failed", head.method, path)
            return Reply(500, error_body(_internal(error)), JSON)

    # -- answers

    async def _write(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise ClientGone("the client closed the connection in the middle of an answer") from error

    async def _send(self, reply: Reply, *, with_body: bool = True) -> None:
        headers = self._with_close(reply.headers)
        await self._write(
            self._protocol.reply(reply.status, reply.content_type, headers, reply.body, with_body=with_body)
        )

    async def _send_stream(self, reply: StreamReply) -> None:
        if reply.is_endless:
            self.activity = Activity.ENDLESS
        async with closing(reply.pieces):
            await self._write(self._protocol.begin(reply.status, reply.content_type, self._with_close(reply.headers)))
            self._service.hangups.add(self._socket, self._on_hangup)
            try:
                await self._send_pieces(reply)
            finally:
                self._service.hangups.remove(self._socket)
        await self._write(self._protocol.end())

    async def _send_pieces(self, reply: StreamReply) -> None:
        try:
            async for piece in reply.pieces:
                if piece:
                    await self._write(self._protocol.piece(piece))
        except ClientGone:
            raise
        except Exception as error:
            # An edge: the status line is out, so all that is left is to cut the stream, which clients notice.
            _log.exception("a stream of %s broke off", reply.content_type.decode())
            raise ClientGone("the stream broke off") from error

    def _on_hangup(self) -> None:
        self._client_left = True
        if self._task is not None:
            self._task.cancel()

    def _with_close(self, headers: Sequence[Header]) -> Sequence[Header]:
        return [*headers, _CLOSE] if self._service.is_stopping else headers

    async def _refuse(self, status: int, message: str) -> bool:
        """False: after what was no request nothing can follow."""
        if self._protocol.can_reply:
            await self._send(Reply(status, error_body(InvalidArgument(message)), JSON, (_CLOSE,)))
            await self._linger()
        return False

    # -- between requests

    async def _is_reusable(self) -> bool:
        """Whether the connection is ready for another request; what is left of the body is read and dropped."""
        if self._protocol.is_broken or not await self._drop_body():
            await self._linger()
            return False
        return not self._service.is_stopping and self._protocol.next_cycle()

    async def _drop_body(self) -> bool:
        """Whether the body ended within the limits; a client that still waits to be told to send is not told."""
        if self._protocol.is_client_waiting_to_go_on:
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
                while await self._loop.sock_recv(self._socket, _BODY_BYTES):
                    pass
        except (OSError, TimeoutError):
            pass

    # -- other protocols

    async def _relay(self, reply: RelayReply) -> None:
        self.activity = Activity.ENDLESS
        self._service.hangups.add(self._socket, self._on_hangup)
        try:
            await reply.serve(self._socket, self._protocol.unread)
        finally:
            self._service.hangups.remove(self._socket)

    # -- hand-over

    async def _hand_over(self, head: RequestHead, reply: HijackReply) -> None:
        """Nothing, once the socket is another's; of a refusal after the head the stream tells, as Docker's does."""
        await self._drop_body()
        early = self._protocol.unread
        wants_upgrade = any(name == b"upgrade" for name, _ in head.headers)
        await self._write(self._protocol.upgrade(reply.content_type) if wants_upgrade else RAW_HEAD)
        try:
            await reply.connect(Fd(os.dup(self._socket.fileno())), early)
        except ShoalError as error:
            await self._write_refusal(reply, error)
        except Exception as error:
            await self._write_refusal(reply, _internal(error))
            raise

    async def _write_refusal(self, reply: HijackReply, error: ShoalError) -> None:
        text = f"{error}\r\n".encode(errors="replace")
        await self._write(encode_frame(STDOUT, text) if reply.mux else text)


def _internal(error: Exception) -> ShoalError:
    return ShoalError("internal error", why=f"{type(error).__name__}: {error}")


def _origin_form(target: str) -> str:
    """The path and query of a request's target, which proxies write with scheme and host."""
    if target.startswith("http://"):
        return "/" + target[7:].partition("/")[2]
    return target
