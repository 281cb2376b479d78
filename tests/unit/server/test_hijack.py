"""Attach and exec: the connection stops being HTTP and belongs to a container's streams."""

from __future__ import annotations

import pytest

from shoal.api.detach_keys import DEFAULT
from shoal.api.options import AttachOptions
from shoal.api.stdcopy import StdcopyDecoder
from tests.unit.server.fake_engine import FakeEngine
from tests.unit.server.serving import Client, Serving, run

BIG = bytes(range(256)) * 1024  # more than any pipe or socket buffer of a test takes at once


async def talk(client: Client, path: str, *, early: bytes, upgrade: bool, body: bytes = b"") -> bytes:
    """Send a request with bytes right behind it; the head that comes back."""
    switch = b"Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else b""
    head = b"POST %s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n" % path.encode()
    await client.send(head + switch + b"Content-Length: %d\r\n\r\n" % len(body) + body + early)
    return await client.read_until(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("version", "tty", "content_type"),
    [
        ("v1.50", False, b"application/vnd.docker.multiplexed-stream"),
        ("v1.41", False, b"application/vnd.docker.raw-stream"),
        ("v1.50", True, b"application/vnd.docker.raw-stream"),
    ],
)
def test_attach_with_upgrade_switches_and_names_the_stream(version: str, tty: bool, content_type: bytes) -> None:
    """The 101 says how the bytes are framed, in the words of the client's version."""
    engine = FakeEngine()
    engine.containers.tty = tty

    async def scenario(server: Serving) -> None:
        client = server.connect()
        head = await talk(client, f"/{version}/containers/c1/attach?stream=1", early=b"", upgrade=True)
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 101 UPGRADED"
        assert b"Content-Type: " + content_type in lines
        assert b"Connection: Upgrade" in lines
        assert b"Upgrade: tcp" in lines

    run(scenario, engine=engine)


@pytest.mark.parametrize("upgrade", [True, False])
def test_attach_both_directions_carry_everything_after_a_half_close(upgrade: bool) -> None:
    """Bytes sent early, 256 KiB more, and the tail after the client's end of input all come back, framed."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        head = await talk(client, "/containers/c1/attach?stream=1&stdin=1", early=b"early", upgrade=upgrade)
        assert head.startswith(b"HTTP/1.1 101 UPGRADED" if upgrade else b"HTTP/1.1 200 OK")
        decoder, received = StdcopyDecoder(), {1: b"", 2: b""}
        for position in range(0, len(BIG), 8192):
            await client.send(BIG[position : position + 8192])
            if position == 0:
                client.socket.setblocking(False)
            while len(received[1]) < 5 + position:
                for stream, payload in decoder.feed(await client.read()):
                    received[stream] += payload
        client.socket.shutdown(1)
        for stream, payload in decoder.feed(await client.read_to_end()):
            received[stream] += payload
        assert received == {1: b"early" + BIG, 2: b"bye\n"}

    assert run(scenario).early == [b"early"]


def test_attach_options_reach_the_engine() -> None:
    """What the query says is what the engine is asked for."""

    async def scenario(server: Serving) -> None:
        path = "/containers/c1/attach?stream=1&stdout=1&stderr=0&logs=true&detachKeys=ctrl-a,b"
        await talk(server.connect(), path, early=b"", upgrade=True)
        await talk(server.connect(), "/containers/c1/attach", early=b"", upgrade=True)

    assert run(scenario).containers.notes == [
        ("attach", AttachOptions(stream=True, stdout=True, logs=True, detach_keys=b"\x01b")),
        ("attach", AttachOptions(detach_keys=DEFAULT)),
    ]


def test_attach_refusal_is_an_ordinary_answer() -> None:
    """A container that is not there is a 404 on a connection that goes on."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("POST", "/containers/nope/attach?stream=1", Connection="Upgrade", Upgrade="tcp")
        assert (answer.status, answer.message) == (404, "No such container: nope")
        answer = await client.ask("POST", "/containers/c1/attach?detachKeys=ctrl-%C3%A4", Upgrade="tcp")
        assert answer.status == 400

    run(scenario)


def test_exec_start_attached_hands_the_connection_over() -> None:
    """An exec with a terminal gets its bytes unframed."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        body = b'{"Detach":false,"Tty":true,"ConsoleSize":null}'
        head = await talk(client, "/v1.50/exec/e1/start", early=b"", upgrade=True, body=body)
        assert head.startswith(b"HTTP/1.1 101 UPGRADED")
        await client.send(b"ls\n")
        assert await client.read_exactly(3) == b"ls\n"

    run(scenario)


def test_exec_start_detached_is_answered_in_http() -> None:
    """`exec -d` gets an empty 200, and the connection goes on."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("POST", "/exec/detached/start", b'{"Detach":true}', Content_Type="application/json")
        assert (answer.status, answer.body) == (200, b"")
        assert (await client.ask("GET", "/exec/detached/json")).json["ExitCode"] == 3

    run(scenario)


def test_exec_start_that_breaks_down_ends_its_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that nobody thought of is told in the stream and logged, and the daemon serves on."""
    engine = FakeEngine()
    engine.execs.breakdown = RuntimeError("unforeseen")

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await talk(client, "/exec/broken/start", early=b"", upgrade=True, body=b"{}")
        assert b"internal error: RuntimeError: unforeseen" in await client.read_to_end()
        assert (await server.connect().ask("GET", "/_ping")).status == 200

    run(scenario, engine=engine)
    assert "a connection broke off" in caplog.text


def test_exec_start_that_fails_after_the_head_tells_it_in_the_stream() -> None:
    """A command that is not there is told as output, framed, and the stream ends: what the docker command prints."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await talk(client, "/exec/broken/start", early=b"", upgrade=True, body=b"{}")
        decoder = StdcopyDecoder()
        assert decoder.feed(await client.read_to_end()) == [(1, b'exec: "x": not found\r\n')]

    run(scenario)
