"""Attach over a WebSocket: what a container's streams look like to a web page."""

from __future__ import annotations

import contextlib

from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from tests.engines.engine import Engine
from tests.engines.websocket import WebSocketClient

BIG = bytes(range(256)) * 1024


def container(engine: Engine, name: str, *command: str, **config: object) -> None:
    """A container that runs, with an open stdin."""
    body = {"Image": "busybox", "Cmd": list(command), "OpenStdin": True, **config}
    assert engine.request("POST", f"/containers/create?name={name}", body).status == 201
    assert engine.request("POST", f"/containers/{name}/start").status == 204


def connected(engine: Engine, target: str) -> contextlib.closing[WebSocketClient]:
    """A client that the engine has accepted."""
    client = WebSocketClient(engine.socket, target)
    assert client.is_open, client.response
    return contextlib.closing(client)


def test_websocket_carries_everything_both_ways(engine: Engine) -> None:
    """256 KiB of every byte come back from `cat`, unframed and in binary frames."""
    container(engine, "it", "cat")
    with connected(engine, "/v1.41/containers/it/attach/ws?stream=1&stdin=1&stdout=1") as client:
        received = b""
        for position in range(0, len(BIG), 8192):
            client.send(BytesMessage(data=BIG[position : position + 8192]))
            piece, kinds = client.read(8192)
            assert kinds == {BytesMessage}
            received += piece
        assert received == BIG


def test_websocket_before_binary_frames_gets_text(engine: Engine) -> None:
    """API 1.28 brought binary frames; up to then output came as text."""
    container(engine, "it", "cat")
    with connected(engine, "/v1.27/containers/it/attach/ws?stream=1&stdin=1&stdout=1") as client:
        client.send(TextMessage(data="grüße\n"))
        received, kinds = client.read(len("grüße\n".encode()))
        assert (received.decode(), kinds) == ("grüße\n", {TextMessage})


def test_websocket_ends_with_its_container(engine: Engine) -> None:
    """Output and errors come unframed, and the stream ends when the process does."""
    container(engine, "it", "sh", "-c", "read go; echo out; echo err >&2; exit 3")
    with connected(engine, "/v1.41/containers/it/attach/ws?stream=1&stdin=1&stdout=1&stderr=1") as client:
        client.send(BytesMessage(data=b"go\n"))
        received, _ = client.read_to_close()
        assert sorted(received.splitlines()) == [b"err", b"out"]
    assert engine.request("POST", "/containers/it/wait").json["StatusCode"] == 3


def test_websocket_replays_the_log(engine: Engine) -> None:
    """`logs=1` without `stream=1` sends what was written, and ends."""
    container(engine, "it", "sh", "-c", "echo before")
    engine.request("POST", "/containers/it/wait")
    with connected(engine, "/v1.41/containers/it/attach/ws?logs=1&stdout=1") as client:
        assert client.read_to_close()[0] == b"before\n"


def test_websocket_client_that_leaves_leaves_the_container_alone(engine: Engine) -> None:
    """A dropped connection detaches; the container runs on and takes the next client."""
    container(engine, "it", "cat")
    with connected(engine, "/v1.41/containers/it/attach/ws?stream=1&stdin=1&stdout=1"):
        pass
    with connected(engine, "/v1.41/containers/it/attach/ws?stream=1&stdin=1&stdout=1") as client:
        client.send(BytesMessage(data=b"again"))
        assert client.read(5)[0] == b"again"
    assert engine.inspect("it")["State"]["Running"]  # type: ignore[index]


def test_websocket_of_an_unknown_container_is_refused(engine: Engine) -> None:
    """Before the protocol is switched, where a client sees the status."""
    client = WebSocketClient(engine.socket, "/v1.41/containers/none/attach/ws?stream=1")
    assert client.status == 404
    client.close()


def test_websocket_without_its_headers_is_a_bad_request(engine: Engine) -> None:
    """A plain GET gets no stream."""
    container(engine, "it", "cat")
    assert engine.request("GET", "/v1.41/containers/it/attach/ws?stream=1").status == 400


def test_websocket_speaks_the_whole_protocol(shoald: Engine) -> None:
    """Pings are answered, a close is answered, the end of the container is a normal close, a sub-protocol is agreed."""
    container(shoald, "it", "cat")
    client = WebSocketClient(shoald.socket, "/containers/it/attach/ws?stream=1&stdin=1&stdout=1", subprotocols=["tty"])
    with contextlib.closing(client):
        assert client.response.subprotocol == "tty"  # type: ignore[union-attr]
        client.send(Ping(payload=b"there?"))
        client.send(BytesMessage(data=b"x"))
        assert client.read(1)[0] == b"x"
        client.send(CloseConnection(code=1000))
        assert client.read_to_close()[1] is not None
    with connected(shoald, "/containers/it/attach/ws?stream=1&stdout=1") as client:
        client.send(BytesMessage(data=b"nobody reads this"))
        shoald.request("POST", "/containers/it/kill")
        received, closing = client.read_to_close()
        assert (received, closing and closing.code) == (b"", 1000)
