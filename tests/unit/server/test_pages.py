"""Requests of web pages over TCP, and those of clients."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from shoal.errors import Forbidden
from shoal.server.api_server import ApiServer
from shoal.server.pages import refuse_pages
from tests.unit.server.fake_engine import FakeEngine
from tests.unit.server.test_api_server import connect, listening, running


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"127.0.0.1:2375")],
        [(b"host", b"localhost:2375")],
        [(b"host", b"LOCALHOST")],
        [(b"host", b"[::1]:2375")],
        [(b"host", b"127.0.0.1")],
        [(b"host", b"api.moby.localhost")],
        [(b"host", b"")],
        [(b"host", b"127.0.0.1:2375"), (b"origin", b"http://127.0.0.1:2375"), (b"sec-fetch-site", b"same-origin")],
        [(b"host", b"127.0.0.1:2375"), (b"sec-fetch-site", b"none")],
    ],
)
def test_refuse_pages_lets_clients_through(headers: list[tuple[bytes, bytes]]) -> None:
    """Clients name the loopback by address or as localhost; what a person types into a browser is no page's doing."""
    refuse_pages(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example:2375")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"127.0.0.1.evil.example:2375")],
        [(b"host", b"127.0.0.1:2375"), (b"origin", b"http://evil.example")],
        [(b"host", b"127.0.0.1:2375"), (b"origin", b"null")],
        [(b"host", b"127.0.0.1:2375"), (b"origin", b"http://127.0.0.1:8080")],
        [(b"host", b"127.0.0.1:2375"), (b"sec-fetch-site", b"cross-site")],
        [(b"host", b"127.0.0.1:2375"), (b"sec-fetch-site", b"same-site")],
    ],
)
def test_refuse_pages_refuses_rebinding_and_other_origins(headers: list[tuple[bytes, bytes]]) -> None:
    """A name that was made to lead to the loopback, and a page of another origin, get nothing."""
    with pytest.raises(Forbidden):
        refuse_pages(headers)


@pytest.mark.parametrize(("family", "status"), [(socket.AF_INET, 403), (socket.AF_UNIX, 204)])
def test_server_page_that_starts_a_container_is_refused_on_tcp(
    tmp_path: Path, family: socket.AddressFamily, status: int
) -> None:
    """A POST without a body needs no permission of the browser's: the server has to refuse it."""

    async def play() -> None:
        listener = listening(family, tmp_path / "s")
        server = ApiServer(FakeEngine())
        async with running(server, listener):
            client = await connect(listener.getsockname(), family)
            await client.send(
                b"POST /containers/c1/start HTTP/1.1\r\nHost: 127.0.0.1:2375\r\nOrigin: http://evil.example\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            assert (await client.read_to_end()).startswith(b"HTTP/1.1 %d " % status)

    asyncio.run(play())
