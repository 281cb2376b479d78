"""The connection loop: what a client may do on one connection, well or badly."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shoal.server.connection import Limits
from tests.unit.server.fake_engine import CONTAINER_ID, FakeEngine
from tests.unit.server.serving import Serving, run

PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"


def test_connection_kept_alive_answers_one_request_after_the_other() -> None:
    """A connection serves many requests, of every kind of answer."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for _ in range(3):
            assert (await client.ask("GET", "/_ping")).body == b"OK"
            assert (await client.ask("HEAD", "/_ping")).status == 200
            assert (await client.ask("POST", "/containers/c1/start")).status == 204
            assert (await client.ask("GET", "/containers/nope/json")).status == 404
            assert (await client.ask("POST", "/containers/c1/start?detachKeys=ctrl-a")).status == 304
            assert len((await client.ask("GET", "/images/alpine/get")).body) == 64 * 65536

    run(scenario)


def test_connection_pipelined_requests_are_answered_in_order() -> None:
    """A client may send the next request before it has the answer."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(PING * 2 + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = await client.read_to_end()
        assert text.count(b"HTTP/1.1 200 OK") == 2
        assert text.endswith(b'{"message":"page not found"}\n')

    run(scenario)


def test_connection_every_answer_has_dockers_headers() -> None:
    """Clients learn the version and the system from headers that stand on errors too."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for path in ("/_ping", "/nothing", "/info", "/v1.99/info"):
            headers = (await client.ask("GET", path)).headers
            assert headers["api-version"] == "1.50"
            assert headers["ostype"] == "linux"
            assert headers["docker-experimental"] == "false"
            assert headers["server"].startswith("shoal/")

    run(scenario)


def test_connection_http_1_0_client_gets_its_answer_and_the_end() -> None:
    """A client that knows no chunks and no keep-alive is served too."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"GET /images/alpine/get HTTP/1.0\r\n\r\n")
        text = await client.read_to_end()
        head, _, body = text.partition(b"\r\n\r\n")
        assert b"chunked" not in head.lower()
        assert len(body) == 64 * 65536

    run(scenario)


def test_connection_head_in_small_pieces_is_understood() -> None:
    """Where a network cuts a request is nobody's business."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for byte in PING:
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.read_until(b"OK")).startswith(b"HTTP/1.1 200 OK")

    run(scenario)


def test_connection_chunked_body_arrives_whole() -> None:
    """A body without a length, larger than every buffer, reaches the engine byte for byte."""
    piece = bytes(range(256)) * 256

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            await client.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        await client.send(b"0\r\n\r\n")
        await client.read_until(b'{"stream":"Loaded image: alpine:latest\\n"}\n')
        await client.read_until(b"0\r\n\r\n")
        assert (await client.ask("GET", "/_ping")).status == 200

    assert bytes(run(scenario).images.received) == piece * 40


def test_connection_expect_100_is_answered_when_the_body_is_wanted() -> None:
    """A client that asks first is told to go on, and only then sends."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /images/load HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await client.send(b"data")
        assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")

    assert bytes(run(scenario).images.received) == b"data"


def test_connection_expect_100_with_a_refusal_gets_the_refusal_alone() -> None:
    """Whoever asks first and is refused never sends the body, and the connection ends."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        head = await client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        assert (await client.read_to_end()) == b'{"message":"page not found"}\n'

    run(scenario, limits=Limits(drain_timeout_s=0.05))


def test_connection_body_that_nobody_reads_is_dropped_and_the_next_request_served() -> None:
    """What a handler leaves of a small body is not taken for the next request."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("POST", "/containers/c1/pause", PING * 500)
        assert answer.status == 204
        assert (await client.ask("GET", "/_ping")).status == 200

    run(scenario)


def test_connection_early_refusal_of_a_long_body_reaches_the_client() -> None:
    """An upload that is refused at once ends with the refusal, not with a reset that swallows it."""
    engine = FakeEngine()
    engine.images.load_reads = False

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n")
        upload = asyncio.create_task(client.send(b"x" * 8_000_000))
        text = await client.read_to_end()
        assert text.startswith(b"HTTP/1.1 400 ")
        assert b"this is no archive" in text
        upload.cancel()

    run(scenario, engine=engine, limits=Limits(drain_bytes=100_000, drain_timeout_s=0.2))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /_ping HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /_ping HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 30 + b"\r\n\r\n", 400),  # TLS
    ],
)
def test_connection_what_is_no_request_is_refused_and_the_connection_ends(request_bytes: bytes, status: int) -> None:
    """Malformed heads get the status that says so, and nothing of the client is left behind."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(request_bytes)
        text = await client.read_until(b"\r\n\r\n")
        assert text.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in text.lower()
        body = await client.read_to_end()
        assert body.startswith(b'{"message":')

    run(scenario, limits=Limits(drain_timeout_s=0.05))


def test_connection_broken_chunk_is_a_bad_request() -> None:
    """A body whose framing breaks is refused, and the connection can't go on."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        text = await client.read_to_end()
        assert text.startswith(b"HTTP/1.1 400 ")
        assert b"malformed request body" in text

    run(scenario, limits=Limits(drain_timeout_s=0.05))


def test_connection_slow_head_times_out() -> None:
    """Who dribbles a head is told so and let go; who says nothing is let go in silence."""

    async def scenario(server: Serving) -> None:
        slow, idle = server.connect(), server.connect()
        await slow.send(b"GET /_ping HT")
        assert (await slow.read_to_end()).startswith(b"HTTP/1.1 408 ")
        assert await idle.read_to_end() == b""

    run(scenario, limits=Limits(head_timeout_s=0.05, idle_timeout_s=0.05, drain_timeout_s=0.05))


def test_connection_slow_json_body_is_refused_in_time() -> None:
    """A body that is needed whole and does not come does not hold a connection for ever."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert b"did not arrive in time" in await client.read_to_end()

    run(scenario, limits=Limits(body_timeout_s=0.05, drain_timeout_s=0.05))


def test_connection_client_leaves_in_the_middle_of_an_upload_the_engine_learns_it() -> None:
    """A load that breaks off ends as an error in the engine, which can then put away what it had."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        client.close()
        await client.server

    (error,) = run(scenario).images.broke_off
    assert isinstance(error, ConnectionError)


def test_connection_client_leaves_a_change_runs_to_its_end() -> None:
    """A stop that was asked for happens, though nobody waits for the answer."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        engine.containers.stop_gate = asyncio.Event()
        client = server.connect()
        await client.begin("POST", "/containers/c1/stop?t=3")
        await engine.containers.stop_began.wait()
        client.close()
        await asyncio.sleep(0)
        engine.containers.stop_gate.set()
        await client.server

    assert run(scenario, engine=engine).containers.notes == [("stop", None, 3)]


def test_connection_client_leaves_a_stream_it_is_cancelled() -> None:
    """Logs that are followed and a wait end when their client goes, without a byte being written."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        reader, waiter = server.connect(), server.connect()
        await reader.begin("GET", "/containers/c1/logs?follow=1&stdout=1")
        await waiter.begin("POST", "/containers/c1/wait")
        assert (await reader.head()).status == 200
        assert (await waiter.head()).status == 200
        reader.close()
        waiter.close()
        await engine.containers.log_was_closed.wait()
        await asyncio.wait([reader.server, waiter.server])
        assert engine.containers.exit is not None
        assert engine.containers.exit.cancelled()

    run(scenario, engine=engine)


def test_connection_client_that_closes_one_half_still_gets_the_stream() -> None:
    """Half a close is not a departure: `docker events < /dev/null` goes on."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.begin("POST", "/containers/c1/wait")
        await client.head()
        client.socket.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.02)
        await engine.containers.start("c1", detach_keys="")
        assert (await client.piece()) == b'{"StatusCode":7}\n'

    run(scenario, engine=engine)


def test_connection_defect_in_the_engine_is_a_500_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that nobody foresaw costs one request, is logged with its trace, and the client is told."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("GET", f"/containers/{CONTAINER_ID}/json?size=1")
        assert answer.status == 500
        assert answer.message == "internal error: RuntimeError: a defect"
        assert (await client.ask("GET", "/_ping")).status == 200

    run(scenario)
    assert "a defect" in caplog.text


def test_connection_absolute_target_is_served() -> None:
    """A request that went through a proxy names the host in its target."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        assert (await client.ask("GET", "http://docker/v1.44/_ping")).body == b"OK"

    run(scenario)
