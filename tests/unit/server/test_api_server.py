"""The server with real listening sockets: accepting, limits, and its end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.server.api_server import ApiServer
from shoal.server.connection import Limits
from shoal.server.tls import SecuredSocket, TlsRelay
from tests.unit.server.fake_engine import FakeEngine
from tests.unit.server.serving import Client


def listening(family: socket.AddressFamily, path: Path) -> socket.socket:
    """A listening socket, on a path or on a free port of the loopback."""
    listener = socket.socket(family)
    listener.bind(str(path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
    listener.listen(512)
    return listener


async def connect(address: tuple[str, int] | str, family: socket.AddressFamily) -> Client:
    """A client of a listening socket."""
    near = socket.socket(family)
    near.setblocking(False)
    await asyncio.get_running_loop().sock_connect(near, address)
    return Client(near, asyncio.ensure_future(asyncio.sleep(0)))


@asynccontextmanager
async def running(server: ApiServer, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """The server as a task, which has ended at the end of the block."""
    async with asyncio.timeout(20):
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield task
        finally:
            await server.close(grace_s=0)
            await task


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_server_many_clients_at_once_are_served(family: socket.AddressFamily, tmp_path: Path) -> None:
    """Two hundred clients on one socket all get their answers, and none is left afterwards."""

    async def play() -> None:
        listener = listening(family, tmp_path / "s")
        address = listener.getsockname()
        server = ApiServer(FakeEngine())
        async with running(server, listener):
            clients = await asyncio.gather(*(connect(address, family) for _ in range(200)))
            answers = await asyncio.gather(*(client.ask("GET", "/containers/c1/json") for client in clients))
            assert all(answer.status == 200 for answer in answers)
            assert server.connection_count == 200
            for client in clients:
                client.close()
        assert server.connection_count == 0

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(play())
    assert len(os.listdir("/proc/self/fd")) <= before


def test_server_full_lets_the_oldest_idle_connection_go(tmp_path: Path) -> None:
    """At the limit a new client is served at the cost of one that does nothing; busy ones are kept."""

    async def play() -> None:
        listener = listening(socket.AF_UNIX, tmp_path / "s")
        server = ApiServer(FakeEngine(), limits=Limits(connections=2))
        async with running(server, listener):
            waiter = await connect(listener.getsockname(), socket.AF_UNIX)
            await waiter.begin("POST", "/containers/c1/wait")
            await waiter.head()
            idle = await connect(listener.getsockname(), socket.AF_UNIX)
            assert (await idle.ask("GET", "/_ping")).status == 200
            third = await connect(listener.getsockname(), socket.AF_UNIX)
            assert (await third.ask("GET", "/_ping")).status == 200
            assert await idle.read() == b""
            assert server.connection_count == 2
            for client in (waiter, idle, third):
                client.close()

    asyncio.run(play())


def test_server_close_lets_requests_end_and_cuts_streams(tmp_path: Path) -> None:
    """At the end a running stop is waited for, idle and endless connections are not, and nobody new is let in."""

    async def play() -> None:
        engine = FakeEngine()
        engine.containers.stop_gate = asyncio.Event()
        listener = listening(socket.AF_UNIX, tmp_path / "s")
        address = listener.getsockname()
        server = ApiServer(engine)
        async with running(server, listener) as task:
            idle, streaming, busy = [await connect(address, socket.AF_UNIX) for _ in range(3)]
            await idle.ask("GET", "/_ping")
            await streaming.begin("GET", "/events")
            await streaming.head()
            await busy.begin("POST", "/containers/c1/stop")
            await engine.containers.stop_began.wait()
            closing = asyncio.create_task(server.close(grace_s=10))
            assert await idle.read() == b""
            assert await streaming.read() == b""
            assert not task.done()
            engine.containers.stop_gate.set()
            answer = await busy.answer()
            assert (answer.status, answer.headers["connection"]) == (204, "close")
            await closing
            with pytest.raises(OSError):
                await connect(address, socket.AF_UNIX)
            for client in (idle, streaming, busy):
                client.close()

    asyncio.run(play())


def test_server_close_ends_what_takes_too_long(tmp_path: Path) -> None:
    """The deadline holds: a request that does not end is cancelled."""

    async def play() -> None:
        engine = FakeEngine()
        engine.containers.stop_gate = asyncio.Event()
        listener = listening(socket.AF_UNIX, tmp_path / "s")
        server = ApiServer(engine)
        async with running(server, listener):
            client = await connect(listener.getsockname(), socket.AF_UNIX)
            await client.begin("POST", "/containers/c1/stop")
            await engine.containers.stop_began.wait()
            await server.close(grace_s=0.02)
            assert await client.read() == b""
            client.close()

    asyncio.run(play())


def test_server_cancelled_ends_everything(tmp_path: Path) -> None:
    """A daemon that dies by an exception takes the server's task down without a connection left."""

    async def play() -> None:
        listener = listening(socket.AF_UNIX, tmp_path / "s")
        server = ApiServer(FakeEngine())
        task = asyncio.create_task(server.serve([listener]))
        client = await connect(listener.getsockname(), socket.AF_UNIX)
        await client.ask("GET", "/_ping")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.connection_count == 0
        assert await client.read() == b""
        client.close()

    asyncio.run(play())


def test_server_closed_before_it_serves_ends_at_once(tmp_path: Path) -> None:
    """A daemon that is stopped while it starts does not hang."""

    async def play() -> None:
        server = ApiServer(FakeEngine())
        await server.close()
        await asyncio.wait_for(server.serve([listening(socket.AF_UNIX, tmp_path / "s")]), 5)

    asyncio.run(play())


def test_server_tcp_client_that_leaves_ends_its_stream(tmp_path: Path) -> None:
    """On TCP a closed connection is noticed too, while nothing is sent."""

    async def play() -> None:
        engine = FakeEngine()
        listener = listening(socket.AF_INET, tmp_path)
        server = ApiServer(engine)
        async with running(server, listener):
            client = await connect(listener.getsockname(), socket.AF_INET)
            await client.begin("GET", "/events")
            await client.head()
            client.close()
            await engine.system.closed.wait()

    asyncio.run(play())


def test_server_connection_that_cannot_begin_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no descriptor for one client's relay, the next client is served."""
    failures = [OSError(24, "Too many open files"), RuntimeError("a mistake")]
    begin = TlsRelay.__init__

    def begin_or_fail(relay: TlsRelay, client: socket.socket, context: ssl.SSLContext) -> None:
        if failures:
            raise failures.pop()
        begin(relay, client, context)

    monkeypatch.setattr(TlsRelay, "__init__", begin_or_fail)
    asyncio.run(_ends_alone(tmp_path, broken=2))


def test_server_tls_connection_that_breaks_off_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake while one client's bytes are carried costs that client its connection, and nobody else."""

    async def fail(_relay: TlsRelay) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(TlsRelay, "_shake_hands", fail)
    asyncio.run(_ends_alone(tmp_path, broken=2))


async def _ends_alone(tmp_path: Path, *, broken: int) -> None:
    """So many clients of a TLS socket find their connections ended, and a plain one beside them is served."""
    secured = SecuredSocket(listening(socket.AF_INET, tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    plain = listening(socket.AF_UNIX, tmp_path / "s")
    server = ApiServer(FakeEngine())
    async with asyncio.timeout(20):
        task = asyncio.create_task(server.serve([secured, plain]))
        try:
            for _ in range(broken):
                client = await connect(secured.getsockname(), socket.AF_INET)
                assert await client.read() == b""
                client.socket.close()
            client = await connect(str(tmp_path / "s"), socket.AF_UNIX)
            assert (await client.ask("GET", "/containers/c1/json")).status == 200
            client.socket.close()
        finally:
            await server.close(grace_s=0)
            await task
