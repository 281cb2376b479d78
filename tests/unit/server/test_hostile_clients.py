"""Clients that send anything at all: the server answers or ends the connection, and never stumbles."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.server.connection import Limits
from tests.unit.server.serving import Serving, run

QUICK = Limits(head_timeout_s=0.01, idle_timeout_s=0.01, body_timeout_s=0.01, drain_timeout_s=0.01)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "get"])
PATHS = st.sampled_from(
    [
        "/_ping",
        "/v1.50/containers/json",
        "/containers/create?name=x",
        "/containers/c1/json",
        "/containers/c1/attach?stream=1&stdin=1",
        "/containers/c1/logs?stdout=1",
        "/containers/c1/stop?t=1",
        "/exec/e2/start",
        "/images/load",
        "/images/create?fromSrc=-",
        "/images/get?names=alpine",
        "/images//json",
        "/images/../../json",
        "/images/%00/json",
        "/v9.99/info",
        "/v1.24" + "/a" * 200,
        "*",
        "//",
    ]
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "Host: x",
            "Host: y",
            "Connection: Upgrade",
            "Connection: close",
            "Upgrade: tcp",
            "Upgrade: h2c",
            "Content-Type: application/json",
            "Content-Type: \xff",
            "Content-Length: 5",
            "Content-Length: 99999999999999999999",
            "Content-Length: x",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Expect: 100-continue",
            "Accept: application/json-seq",
            " folded",
            ": empty",
        ]
    ),
    max_size=5,
)
BODIES = st.sampled_from([b"", b"{}", b'{"Cm', b"5\r\nhello\r\n0\r\n\r\n", b"-1\r\n", b"\x00" * 9]) | st.binary(
    max_size=40
)
MESSAGES = st.builds(
    lambda method, path, headers, body: (
        f"{method} {path} HTTP/1.1\r\n".encode("latin-1")
        + b"".join(line.encode("latin-1") + b"\r\n" for line in headers)
        + b"\r\n"
        + body
    ),
    METHODS,
    PATHS,
    HEADERS,
    BODIES,
)


def send_and_leave(messages: list[bytes], *, cut: int, reads: bool) -> None:
    """Send everything up to the cut, read what comes or do not, and leave; the server must have ended by then."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        try:
            await client.send(b"".join(messages)[: -cut or None])
            if reads:
                async with asyncio.timeout(0.05):
                    await client.read_to_end()
        except (OSError, TimeoutError):
            pass  # ended by the server, or a stream that goes on: both are its right
        client.close()

    run(scenario, limits=QUICK)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.integers(0, 30), st.booleans())
def test_connection_any_requests_end_without_a_defect(
    caplog: pytest.LogCaptureFixture, messages: list[bytes], cut: int, reads: bool
) -> None:
    """Requests put together at random, pipelined, cut short: no exception reaches the log or the server's task."""
    caplog.clear()
    send_and_leave(messages, cut=cut, reads=reads)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_connection_any_bytes_end_without_a_defect(caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """The same for bytes that are no HTTP at all."""
    caplog.clear()
    send_and_leave([data], cut=0, reads=True)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
