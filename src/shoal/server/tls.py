"""TLS for clients on TCP: the connection stays in shoald, and everything behind it sees a plain socket.

    client ◀─ TLS over TCP ─▶ relay ◀─ pair of sockets ─▶ HTTP connection, or the supervisor that it was handed to

A container's streams are handed over as a descriptor, which a sealed connection can't be: so it is the pair's other end
that goes, and the relay goes on carrying. A client's end of input (close_notify) becomes the end of the pair's
direction, and the other direction goes on. Runs in shoald, on its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from shoal.api.tls_stream import TlsStream

_log = logging.getLogger(__name__)

_READ_SIZE = 64 * 1024
_HANDSHAKE_S = 10.0
_LINGER_S = 5.0
_ALERT_S = 2.0
_PLAIN_ANSWER = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)


class SecuredSocket(socket.socket):
    """A listening socket whose clients speak TLS. `verifies`: only clients with a certificate get through."""

    def __init__(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(fileno=listening.detach())
        self.setblocking(False)
        self.context = context

    @property
    def verifies(self) -> bool:
        """Whether clients must show a certificate that is known here."""
        return self.context.verify_mode == ssl.CERT_REQUIRED


class TlsRelay:
    """Carries one client's bytes both ways until both have ended. Owns the client's socket and its end of the pair."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        self._outer = client
        self.plain, self._inner = socket.socketpair()
        self.plain.setblocking(False)
        self._inner.setblocking(False)
        self._stream = TlsStream(context, server_side=True)
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Nothing, when the connection has ended. `plain` is its user's to close."""
        try:
            await self._carry()
        except Exception:  # noqa: BLE001 (an edge: one connection must not end the daemon)
            _log.exception("a TLS connection broke off")
        finally:
            self._outer.close()
            self._inner.close()

    async def _carry(self) -> None:
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                await self._shake_hands()
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._inwards())
                directions.create_task(self._outwards())
        except* (ssl.SSLError, TimeoutError) as refusals:
            _log.info("a client was not let in: %s", refusals.exceptions[0])
            await self._tell_why(refusals.exceptions[0])
        except* OSError:
            pass  # one side is gone: so is the connection

    async def _shake_hands(self) -> None:
        while not self._stream.is_open:
            sealed = await self._loop.sock_recv(self._outer, _READ_SIZE)
            if not sealed:
                raise ConnectionResetError("the client left during the handshake")
            self._stream.receive(sealed)
            await self._flush()

    async def _flush(self) -> None:
        # Both directions write (reading may call for an answer), and records must go out in their order.
        async with self._sending:
            sealed = self._stream.take_sealed()
            if sealed:
                await self._loop.sock_sendall(self._outer, sealed)

    async def _inwards(self) -> None:
        """From the client to the pair. A TCP connection that ends without a close_notify is a client that is gone."""
        while True:
            plain = self._stream.take_plain()
            try:
                if plain:
                    await self._loop.sock_sendall(self._inner, plain)
            except (BrokenPipeError, ConnectionResetError):
                # What is behind the pair reads no more, as after a refusal. Its last words still go to the client.
                await self._watch_client()
            if self._stream.peer_closed:
                break
            sealed = await self._loop.sock_recv(self._outer, _READ_SIZE)
            if not sealed:
                raise ConnectionResetError("the client closed its connection")
            self._stream.receive(sealed)
            await self._flush()
        self._inner.shutdown(socket.SHUT_WR)
        await self._watch_client()

    async def _watch_client(self) -> None:
        """After its end of input a client says nothing more: what comes is the end of the whole connection."""
        while await self._loop.sock_recv(self._outer, _READ_SIZE):
            pass
        raise ConnectionResetError("the client closed its connection")

    async def _outwards(self) -> None:
        """From the pair to the client."""
        while data := await self._loop.sock_recv(self._inner, _READ_SIZE):
            self._stream.send(data)
            await self._flush()
        self._stream.close_write()
        await self._flush()
        self._outer.shutdown(socket.SHUT_WR)
        # The client closes its side when it has read all; one that does not is not waited for.
        await asyncio.sleep(_LINGER_S)
        raise ConnectionResetError("the client did not close its connection")

    async def _tell_why(self, refusal: BaseException) -> None:
        """Sends the alert that says what was wrong, and reads on a little: closing at once would destroy it on its
        way."""
        try:
            async with asyncio.timeout(_ALERT_S):
                await self._flush()
                if getattr(refusal, "reason", "") == "HTTP_REQUEST":
                    await self._loop.sock_sendall(self._outer, _PLAIN_ANSWER)
                self._outer.shutdown(socket.SHUT_WR)
                while await self._loop.sock_recv(self._outer, _READ_SIZE):
                    pass
        except (OSError, TimeoutError):
            pass
