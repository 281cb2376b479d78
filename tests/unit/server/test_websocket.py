"""Attach over a WebSocket: the handshake, and clients that break the protocol."""

from __future__ import annotations

import pytest
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection

from shoal.api.options import AttachOptions
from tests.unit.server.fake_engine import FakeEngine
from tests.unit.server.serving import Client, Serving, run

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = {
    "Host": "docker",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


async def ask(client: Client, target: str, early: bytes = b"", **changes: str | None) -> bytes:
    """Sends the request for a WebSocket, with headers changed or left out (None); the head of the answer."""
    headers = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    await client.send("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode() + early)
    return await client.read_until(b"\r\n\r\n")


def test_websocket_options_reach_the_engine_unframed() -> None:
    """What the query says counts; before API 1.42 every stream is attached."""

    async def scenario(server: Serving) -> None:
        for version in ("v1.50", "v1.41"):
            head = await ask(server.connect(), f"/{version}/containers/c1/attach/ws?stream=1&stdout=1")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head

    assert run(scenario).containers.notes == [
        ("attach", AttachOptions(stream=True, stdout=True, framed=False)),
        ("attach", AttachOptions(stream=True, stdin=True, stdout=True, stderr=True, framed=False)),
    ]


def test_websocket_early_frames_come_first() -> None:
    """What a client sends right behind its request is not lost."""
    engine = FakeEngine()
    engine.containers.tty = True

    async def scenario(server: Serving) -> None:
        client, frames = server.connect(), Frames(ConnectionType.CLIENT)
        early = frames.send(BytesMessage(data=b"early"))
        await ask(client, "/containers/c1/attach/ws?stream=1&stdin=1&stdout=1", early)
        frames.receive_data(await client.read())
        assert [event.data for event in frames.events() if isinstance(event, BytesMessage)] == [b"early"]

    run(scenario, engine=engine)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "tcp"},
        {"Upgrade": None},
        {"Connection": "close"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Version": None},
        {"Host": "ä" * 80},
    ],
)
def test_websocket_that_is_none_is_a_bad_request(changes: dict[str, str | None]) -> None:
    """Each part of the handshake is needed; the connection goes on in HTTP."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        head = await ask(client, "/containers/c1/attach/ws?stream=1", **changes)
        assert head.startswith(b"HTTP/1.1 400 ")

    run(scenario)


@pytest.mark.parametrize("junk", [b"\xff" * 64, b"\x81\x05hello", b"\x89\xfe\xff\xff" + bytes(200), b"GET / HTTP/1.1"])
def test_websocket_client_that_breaks_the_protocol_is_told_and_left(junk: bytes) -> None:
    """Frames that are none close the connection with 1002, and nothing else happens."""

    async def scenario(server: Serving) -> None:
        client, frames = server.connect(), Frames(ConnectionType.CLIENT)
        await ask(client, "/containers/c1/attach/ws?stream=1&stdin=1&stdout=1", junk)
        frames.receive_data(await client.read_to_end())
        assert [event.code for event in frames.events() if isinstance(event, CloseConnection)] == [1002]
        assert (await server.connect().ask("GET", "/_ping")).status == 200

    run(scenario)


def test_websocket_refusal_after_the_switch_is_the_reason_of_the_close() -> None:
    """A container that was removed in between is told as far as a close can tell it."""
    engine = FakeEngine()
    engine.containers.attach_refusal = True

    async def scenario(server: Serving) -> None:
        client, frames = server.connect(), Frames(ConnectionType.CLIENT)
        await ask(client, "/containers/c1/attach/ws?stream=1")
        frames.receive_data(await client.read_to_end())
        (closing,) = frames.events()
        assert isinstance(closing, CloseConnection)
        assert (closing.code, closing.reason) == (1011, "No such container: c1")

    run(scenario, engine=engine)
