"""Joins a client to the server over a socketpair, in one event loop, without a listening socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import msgspec

from shoal.server.api_server import api_router
from shoal.server.backend import Backend
from shoal.server.connection import Connection, Limits, Service
from shoal.server.hangup import HangupWatch
from shoal.server.http1 import Clock
from tests.unit.server.fake_engine import FakeEngine

TEST_LIMIT_S = 20.0
ROUTER = api_router()


@dataclass
class Answer:
    """What came back: status, headers in lower case, the whole body."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def message(self) -> str:
        """The sentence of an error."""
        text = self.json["message"]
        assert isinstance(text, str)
        return text


class Client:
    """One connection to the server; `socket` is there for what is not HTTP."""

    def __init__(self, connection: socket.socket, server: asyncio.Task[None]) -> None:
        self.socket = connection
        self.server = server
        self._h11 = h11.Connection(h11.CLIENT)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        await self._loop.sock_sendall(self.socket, data)

    async def read(self, length: int = 65536) -> bytes:
        """What there is, at most `length` bytes; empty at the end."""
        return await self._loop.sock_recv(self.socket, length)

    async def read_exactly(self, length: int) -> bytes:
        """So many bytes."""
        data = b""
        while len(data) < length:
            piece = await self.read(length - len(data))
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Everything up to and with `end`, and not a byte more."""
        data = b""
        while not data.endswith(end):
            piece = await self.read(1)
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    async def read_to_end(self) -> bytes:
        """Everything until the server closes."""
        data = b""
        while piece := await self.read():
            data += piece
        return data

    async def begin(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """Send a request with a body of known length."""
        fields = [("Host", "localhost"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        if body or method == "POST":
            fields.append(("Content-Length", str(len(body))))
        wire = self._h11.send(h11.Request(method=method, target=path, headers=fields))
        if body:
            wire += self._h11.send(h11.Data(data=body))
        await self.send(wire + self._h11.send(h11.EndOfMessage()))

    async def _event(self) -> Any:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(await self.read())
        return event

    async def head(self) -> Answer:
        """The head of the next answer."""
        event = await self._event()
        assert isinstance(event, h11.Response | h11.InformationalResponse), event
        headers = {name.decode(): value.decode() for name, value in event.headers}
        return Answer(event.status_code, event.reason.decode(), headers)

    async def piece(self) -> bytes:
        """The next piece of the body, empty at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def answer(self) -> Answer:
        """The whole next answer; the connection is ready for the next request then."""
        answer = await self.head()
        while piece := await self.piece():
            answer.body += piece
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return answer

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request and its answer."""
        await self.begin(method, path, body, **headers)
        return await self.answer()

    def close(self) -> None:
        """Leave."""
        self.socket.close()


@dataclass
class Serving:
    """A server without a listener."""

    engine: FakeEngine
    service: Service
    clients: list[Client] = field(default_factory=list)

    def connect(self) -> Client:
        """A new client."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        client = Client(near, asyncio.create_task(Connection(far, self.service).run()))
        self.clients.append(client)
        return client


@asynccontextmanager
async def serving(engine: FakeEngine, limits: Limits) -> AsyncIterator[Serving]:
    """A server that lives as long as the block, and whose connections have all ended then."""
    backend: Backend = engine
    hangups = HangupWatch(asyncio.get_running_loop())
    joined = Serving(engine, Service(backend, ROUTER, hangups, limits, Clock()))
    try:
        yield joined
        for client in joined.clients:
            client.close()
        if joined.clients:
            await asyncio.wait([client.server for client in joined.clients], timeout=5)
        for client in joined.clients:
            assert client.server.done(), "a connection outlived its client"
            client.server.result()
    finally:
        for task in (*(client.server for client in joined.clients), *engine.streams):
            task.cancel()
        hangups.close()


def run(
    scenario: Callable[[Serving], Awaitable[None]], *, engine: FakeEngine | None = None, limits: Limits | None = None
) -> FakeEngine:
    """Play a scenario against a server; the engine, to see what arrived there."""

    async def play() -> FakeEngine:
        played = engine or FakeEngine()
        async with asyncio.timeout(TEST_LIMIT_S), serving(played, limits or Limits()) as joined:
            await scenario(joined)
        return played

    return asyncio.run(play())
