"""The client against scripted answers: versions, errors, keep-alive, streams."""

from __future__ import annotations

import pytest

from shoal import errors
from shoal.client.client import Client
from tests.unit.client.scripted import PING, UPGRADED, ScriptedTransport, answer, chunked


def client_for(*scripts: list[bytes], version: str = "") -> tuple[Client, ScriptedTransport]:
    """A client whose connections play the scripts."""
    transport = ScriptedTransport(list(scripts))
    return Client(transport, version=version), transport


def test_client_first_call_asks_for_the_version_on_the_same_connection() -> None:
    """The ping and the call share one connection, and the call has the negotiated version."""
    client, transport = client_for([PING, answer(200, [])])
    assert client.containers.list() == []
    assert transport.requests() == ["HEAD /_ping", "GET /v1.50/containers/json"]


@pytest.mark.parametrize(("offered", "spoken"), [("1.41", "1.41"), ("1.99", "1.50"), ("", "1.24"), ("1.24", "1.24")])
def test_client_version_is_the_newest_that_both_know(offered: str, spoken: str) -> None:
    """An older engine is spoken to in its version, a newer one in ours, one that does not say in the oldest."""
    client, transport = client_for([answer(200, Api_Version=offered), answer(200, {})])
    client.system.info()
    assert transport.requests()[1] == f"GET /v{spoken}/info"


def test_client_version_of_a_too_old_engine_is_refused() -> None:
    """An engine below the minimum gets no call but the ping."""
    client, transport = client_for([answer(200, Api_Version="1.12")])
    with pytest.raises(errors.Unsupported, match=r"speaks API version 1\.12"):
        client.system.info()
    assert transport.requests() == ["HEAD /_ping"]


def test_client_version_given_is_not_negotiated() -> None:
    """DOCKER_API_VERSION saves the ping."""
    client, transport = client_for([answer(200, {})], version="1.30")
    client.system.info()
    assert transport.requests() == ["GET /v1.30/info"]


@pytest.mark.parametrize("text", ["latest", "1", "1.x", "-1.4"])
def test_client_version_malformed_is_refused(text: str) -> None:
    """A version that is none is told before anything is sent."""
    with pytest.raises(errors.InvalidArgument, match="invalid API version"):
        client_for([], version=text)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidArgument),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (500, errors.Internal),
        (501, errors.Unsupported),
        (503, errors.Unavailable),
        (418, errors.Internal),
    ],
)
def test_client_error_has_the_kind_of_its_status(status: int, kind: type[errors.ShoalError]) -> None:
    """Each status comes back as the kind that the server made it from, with what, why and fix apart."""
    body = {"message": "No such thing: x: gone", "why": "gone", "fix": "look again"}
    client, _ = client_for([PING, answer(status, body)])
    with pytest.raises(kind) as caught:
        client.system.info()
    assert type(caught.value) is kind
    assert (caught.value.what, caught.value.why, caught.value.fix) == ("No such thing: x", "gone", "look again")


def test_client_error_that_is_no_json_is_its_own_sentence() -> None:
    """A proxy's plain page is shown as it is."""
    client, _ = client_for([PING, answer(502, b"Bad gateway\n")])
    with pytest.raises(errors.Internal, match=r"^Bad gateway$"):
        client.system.info()


def test_client_error_leaves_the_connection_usable() -> None:
    """After an error's body was read, the next call goes over the same connection."""
    client, transport = client_for([PING, answer(404, {"message": "no"}), answer(200, {"ID": "x"})])
    with pytest.raises(errors.NotFound):
        client.containers.inspect("c")
    assert client.system.info().text("ID") == "x"
    assert len(transport.connections) == 1


def test_client_start_of_a_running_container_succeeds() -> None:
    """304 is no failure for start and stop, as in Docker's client."""
    client, _ = client_for([PING, answer(304, Content_Length=""), answer(304, Content_Length="")])
    client.containers.start("c")
    client.containers.stop("c")


def test_client_hang_up_without_an_answer_is_unavailable() -> None:
    """An engine that dies in the middle of a call is told as such, with a hint."""
    client, _ = client_for([PING, b""])
    with pytest.raises(errors.Unavailable, match="closed the connection") as caught:
        client.perform("POST", "/containers/c/start")
    assert caught.value.fix


def test_client_hang_up_between_calls_reads_again_on_a_fresh_connection() -> None:
    """A GET on a connection that the engine closed meanwhile is sent once more."""
    client, transport = client_for([PING, b""], [answer(200, {"ID": "x"})])
    assert client.system.info().text("ID") == "x"
    assert len(transport.connections) == 2


def test_client_answer_that_is_not_http_is_told() -> None:
    """What listens there may be something else altogether."""
    client, _ = client_for([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"])
    with pytest.raises(errors.Internal, match="not HTTP"):
        client.system.info()


def test_client_answer_with_other_json_is_told() -> None:
    """A list where an object belongs is an error with the call's name, not a crash later."""
    client, _ = client_for([PING, answer(200, [1])])
    with pytest.raises(errors.Internal, match="answer to GET /info is not a JSON object"):
        client.system.info()


def test_client_query_is_encoded_as_docker_does() -> None:
    """Filters are JSON in the query; flags are 1; a name in the path keeps its slashes."""
    client, transport = client_for([PING, answer(200, []), answer(200, {})])
    client.containers.list(all=True, filters={"name": ["a b"]})
    client.images.inspect("docker.io/library/a:b")
    assert transport.requests()[1:] == [
        "GET /v1.50/containers/json?filters=%7B%22name%22%3A%7B%22a+b%22%3Atrue%7D%7D&all=1",
        "GET /v1.50/images/docker.io/library/a:b/json",
    ]


def test_client_wait_keeps_its_connection_to_itself() -> None:
    """A wait in place does not stand in the way of the start that follows it."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = b'11\r\n{"StatusCode": 7}\r\n0\r\n\r\n'
    client, transport = client_for([PING, head], [answer(204)])
    waiting = client.containers.wait("c", condition="next-exit")
    client.containers.start("c")
    transport.connections[0].pending += rest
    assert waiting.result().number("StatusCode") == 7
    assert transport.requests()[1:] == [
        "POST /v1.50/containers/c/wait?condition=next-exit",
        "POST /v1.50/containers/c/start",
    ]


def test_client_attach_hands_the_raw_stream_over() -> None:
    """After the 101 the bytes that came with the head come first, and the connection is the caller's."""
    client, transport = client_for([PING, UPGRADED + b"early bytes"], [answer(200, {})])
    stream = client.containers.attach("c", stdin=True, stdout=True, stderr=False)
    received = b""
    while data := stream.receive():
        received += data
    assert received == b"early bytes"
    assert stream.multiplexed
    client.system.info()
    assert len(transport.connections) == 2
    assert transport.connections[0].received[1].headers["upgrade"] == "tcp"
    assert transport.requests()[1] == "POST /v1.50/containers/c/attach?stream=1&stdin=1&stdout=1"


def test_client_attach_without_an_upgrade_is_told() -> None:
    """An engine that answers 200 instead of 101 is not taken for a stream."""
    client, _ = client_for([PING, answer(200)])
    with pytest.raises(errors.Internal, match="did not upgrade"):
        client.containers.attach("c", stdin=False, stdout=True, stderr=True)


def test_client_load_sends_the_archive_and_yields_messages() -> None:
    """The body has the length that was given; messages cut anywhere arrive whole."""
    client, transport = client_for([PING, chunked(b'{"stream": "Loaded', b' image: x"}\r\n{"id"', b': "1"}\r\n')])
    messages = list(client.images.load(iter([b"abc", b"", b"def"]), size_bytes=6))
    assert [message.raw for message in messages] == [{"stream": "Loaded image: x"}, {"id": "1"}]
    load = transport.received()[1]
    assert (load.headers["content-length"], load.body) == ("6", b"abcdef")


def test_client_load_of_a_pipe_is_chunked() -> None:
    """Without a length the archive travels in chunks."""
    client, transport = client_for([PING, chunked(b"{}\n")])
    assert len(list(client.images.load(iter([b"abc"])))) == 1
    load = transport.received()[1]
    assert (load.headers["transfer-encoding"], load.body) == ("chunked", b"abc")


def test_client_load_error_in_the_stream_is_raised() -> None:
    """A failure after the 200 comes as a message, and is an error all the same."""
    message = b'{"errorDetail": {"message": "bad layer"}, "error": "bad layer", "fix": "try another"}\n'
    client, _ = client_for([PING, chunked(b'{"stream": "x"}\n', message)])
    seen = client.images.load(iter([b"abc"]))
    assert next(seen).text("stream") == "x"
    with pytest.raises(errors.Internal, match="bad layer") as caught:
        next(seen)
    assert caught.value.fix == "try another"
