"""A container's streams over a WebSocket (RFC 6455), for clients that live in web pages.

    client ◀── frames ──▶ shoald ◀── bytes, through a pair of sockets ──▶ supervisor

`wsproto` is the protocol, this the I/O. The one door to that library, imported when the first such client comes. Other
than attach by `Upgrade: tcp` the streams pass through shoald, since a supervisor knows no frames; and they are never
multiplexed: output and errors come as they are written.
"""

from __future__ import annotations

import asyncio
import socket
from codecs import getincrementaldecoder
from collections.abc import Awaitable, Callable, Sequence

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, Request, TextMessage
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from shoal.errors import InvalidArgument, ShoalError
from shoal.linux.fd import Fd
from shoal.server.messages import Header

_PIECE_BYTES = 64 * 1024
_FAREWELL_S = 2.0
_NORMAL, _MALFORMED, _FAILED = 1000, 1002, 1011
_MOST_REASON_BYTES = 123  # RFC 6455 §5.5: a control frame carries 125 bytes, two of them are the code


class WebSocket:
    """One client's WebSocket. `serve` is called once."""

    def __init__(self, headers: Sequence[Header], *, binary: bool, takes_input: bool) -> None:
        """`binary`: whether output travels in binary frames; `takes_input`: whether the container reads what is sent.

        Raises: InvalidArgument for a request that does not ask for a WebSocket.
        """
        self._handshake = H11Handshake(ConnectionType.SERVER)
        self._protocol = _requested(self._handshake, headers)
        self._binary = binary
        self._takes_input = takes_input
        self._text = getincrementaldecoder("utf-8")("replace")
        self._writing = asyncio.Lock()

    async def serve(self, client: socket.socket, early: bytes, connect: Callable[[Fd, bytes], Awaitable[None]]) -> None:
        """Nothing, when the client or the container has ended the streams; `early` came right behind the request.

        `connect` gets the container's end of them. Raises: OSError when the client goes away.
        """
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, self._handshake.send(AcceptConnection(subprotocol=self._protocol)))
        frames = self._handshake.connection
        assert frames is not None  # the handshake was accepted
        ours, theirs = socket.socketpair()
        with ours:
            for end in (ours, theirs):
                end.setblocking(False)
            try:
                await connect(Fd(theirs.detach()), b"")
            except ShoalError as error:
                reason = str(error).encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
                await self._send(client, frames, CloseConnection(code=_FAILED, reason=reason))
                return
            await self._carry(client, frames, ours, early)

    async def _carry(self, client: socket.socket, frames: Frames, ours: socket.socket, early: bytes) -> None:
        """Both directions, until either ends; a client is given a moment to answer the end of the container's."""
        inward = asyncio.create_task(self._inward(client, frames, ours, early))
        outward = asyncio.create_task(self._outward(client, frames, ours))
        try:
            await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
            if not inward.done():
                await asyncio.wait((inward,), timeout=_FAREWELL_S)
        finally:
            for task in (inward, outward):
                task.cancel()
            await asyncio.gather(inward, outward, return_exceptions=True)

    async def _inward(self, client: socket.socket, frames: Frames, ours: socket.socket, early: bytes) -> None:
        """From the client to the container, until the client closes."""
        loop = asyncio.get_running_loop()
        data = early or await loop.sock_recv(client, _PIECE_BYTES)
        while data:
            try:
                frames.receive_data(data)
                for event in frames.events():
                    if isinstance(event, CloseConnection):
                        await self._send(client, frames, event.response())
                        return
                    await self._take(client, frames, ours, event)
            except RemoteProtocolError as error:
                closing = error.event_hint
                if not isinstance(closing, CloseConnection):
                    closing = CloseConnection(code=_MALFORMED)
                await self._send(client, frames, closing)
                return
            data = await loop.sock_recv(client, _PIECE_BYTES)

    async def _take(self, client: socket.socket, frames: Frames, ours: socket.socket, event: Event) -> None:
        if isinstance(event, Ping):
            await self._send(client, frames, event.response())
        elif isinstance(event, TextMessage | BytesMessage) and self._takes_input:
            data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            try:
                await asyncio.get_running_loop().sock_sendall(ours, data)
            except (BrokenPipeError, ConnectionResetError):
                self._takes_input = False  # the container reads no more; it may still write

    async def _outward(self, client: socket.socket, frames: Frames, ours: socket.socket) -> None:
        """From the container to the client, until the container closes."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(ours, _PIECE_BYTES):
            event = BytesMessage(data=data) if self._binary else TextMessage(data=self._text.decode(data))
            await self._send(client, frames, event)
        await self._send(client, frames, CloseConnection(code=_NORMAL))

    async def _send(self, client: socket.socket, frames: Frames, event: Event) -> None:
        """Sends one event whole: both directions do."""
        async with self._writing:
            try:
                wire = frames.send(event)
            except LocalProtocolError:
                return  # the close is under way already
            await asyncio.get_running_loop().sock_sendall(client, wire)


def _requested(handshake: H11Handshake, headers: Sequence[Header]) -> str | None:
    """The sub-protocol to agree on: the one that a client names. Raises: InvalidArgument where it asks for none."""
    try:
        handshake.initiate_upgrade_connection(list(headers), "/")
        request = next(iter(handshake.events()), None)
    except (RemoteProtocolError, LocalProtocolError, UnicodeError) as error:
        raise InvalidArgument("not a WebSocket request", why=str(error), fix="speak RFC 6455, version 13") from error
    if not isinstance(request, Request):
        raise InvalidArgument("not a WebSocket request", fix="speak RFC 6455, version 13")
    return request.subprotocols[0] if len(request.subprotocols) == 1 else None
