"""`docker attach`: several clients, detaching, input, and clients that vanish."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.engines.engine import Engine


@pytest.fixture
def talker(engine: Engine) -> str:
    """A created container that echoes each line of its input in capitals until it ends."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "while read line; do echo got $line; done; echo end"]}
    body |= {"OpenStdin": True, "StdinOnce": False, "AttachStdin": True, "AttachStdout": True}
    answer = engine.request("POST", "/containers/create?name=talker", body)
    assert answer.status == 201, answer.body
    return "talker"


class Attached:
    """A raw attach connection, upgraded, as the stock client makes it."""

    def __init__(self, engine: Engine, name: str, query: str = "stream=1&stdin=1&stdout=1&stderr=1") -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(engine.socket)
        head = f"POST /containers/{name}/attach?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        self.sock.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._receive()
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")

    def _receive(self) -> bool:
        chunk = self.sock.recv(65536)
        self.buffer += chunk
        return bool(chunk)

    def frame(self) -> tuple[int, bytes]:
        """The next multiplexed frame: its stream and its bytes; (0, b"") at the end."""
        while len(self.buffer) < 8:
            if not self._receive():
                return 0, b""
        stream, size = struct.unpack(">BxxxI", self.buffer[:8])
        while len(self.buffer) < 8 + size:
            self._receive()
        data, self.buffer = self.buffer[8 : 8 + size], self.buffer[8 + size :]
        return stream, data

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


def test_attach_upgrades_and_frames_the_streams(engine: Engine, talker: str) -> None:
    """101 UPGRADED, then frames of eight bytes' header; a half-close ends the input and not the output."""
    attached = Attached(engine, talker)
    assert attached.head.startswith(b"HTTP/1.1 101 UPGRADED")
    assert b"application/vnd.docker." in attached.head
    assert engine.request("POST", f"/containers/{talker}/start").status == 204
    attached.sock.sendall(b"one\n")
    assert attached.frame() == (1, b"got one\n")
    attached.sock.shutdown(socket.SHUT_WR)
    attached.close()


def test_attach_two_clients_see_the_same(engine: Engine, talker: str) -> None:
    """Output goes to each attached client, and input comes from any."""
    first, second = Attached(engine, talker), Attached(engine, talker)
    assert engine.request("POST", f"/containers/{talker}/start").status == 204
    first.sock.sendall(b"one\n")
    assert (first.frame(), second.frame()) == ((1, b"got one\n"), (1, b"got one\n"))
    second.sock.sendall(b"two\n")
    assert (first.frame(), second.frame()) == ((1, b"got two\n"), (1, b"got two\n"))
    first.close()
    second.sock.sendall(b"three\n")
    assert second.frame() == (1, b"got three\n")
    second.close()
    assert engine.inspect(talker)["State"]["Running"] is True  # type: ignore[index]


def test_attach_client_that_vanishes_harms_nobody(engine: Engine) -> None:
    """A client that is gone in the middle of much output neither stops the program nor the other client."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "seq 1 200000; echo end"], "AttachStdout": True}
    assert engine.request("POST", "/containers/create?name=loud", body).status == 201
    gone, stays = Attached(engine, "loud"), Attached(engine, "loud")
    assert engine.request("POST", "/containers/loud/start").status == 204
    gone.frame()
    gone.close()
    received = b""
    while (frame := stays.frame())[0]:
        received += frame[1]
    assert received == b"".join(b"%d\n" % n for n in range(1, 200_001)) + b"end\n"
    stays.close()


def test_attach_slow_client_gets_everything(engine: Engine) -> None:
    """A client that reads nothing for a while has all of it in the end, and so has the log."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], "AttachStdout": True}
    assert engine.request("POST", "/containers/create?name=loud", body).status == 201
    slow = Attached(engine, "loud")
    assert engine.request("POST", "/containers/loud/start").status == 204
    received = 0
    while (frame := slow.frame())[0]:
        received += len(frame[1])
    assert received == 1_000_000
    slow.close()


def test_attach_logs_replays_what_was_before(engine: Engine) -> None:
    """logs=1 gives first what the log holds."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "echo before; sleep 1000"]}
    assert engine.request("POST", "/containers/create?name=it", body).status == 201
    assert engine.request("POST", "/containers/it/start").status == 204
    while b"before" not in engine.request("GET", "/containers/it/logs?stdout=1").body:
        pass
    attached = Attached(engine, "it", "logs=1&stream=1&stdout=1")
    assert attached.frame() == (1, b"before\n")
    attached.close()


def test_attach_without_upgrade_is_a_raw_200(engine: Engine, talker: str) -> None:
    """An old client that asks for no upgrade has 200 and the same stream."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(engine.socket)
        target = f"/containers/{talker}/attach?stream=1&stdin=1&stdout=1"
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        head = sock.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert engine.request("POST", f"/containers/{talker}/start").status == 204
        sock.sendall(b"one\n")
        assert b"got one\n" in sock.recv(65536)


@pytest.mark.usefixtures("cli")
def test_attach_command_has_output_and_exit_code(engine: Engine) -> None:
    """`docker attach` shows what comes and ends as the program does."""
    script = "while [ ! -e /go ]; do sleep 0.05; done; echo late; exit 7"
    engine.ok("run", "-d", "--name", "it", "busybox", "sh", "-c", script)
    client = engine.popen("attach", "--no-stdin", "it")
    engine.ok("exec", "it", "sh", "-c", "sleep 0.5; touch /go")  # the client says nothing once it is attached
    out, _ = client.communicate(timeout=20)
    assert (out, client.returncode) == (b"late\n", 7)


@pytest.mark.usefixtures("cli")
def test_attach_to_a_stopped_container_is_refused(engine: Engine) -> None:
    """The command's own sentence for a container that does not run."""
    engine.ok("create", "--name", "it", "busybox")
    done = engine.docker("attach", "it")
    assert done.returncode == 1
    assert "You cannot attach to a stopped container, start it first" in done.stderr


def test_attach_with_a_bad_detach_key_is_refused(engine: Engine, talker: str) -> None:
    """Keys that do not exist: 400."""
    answer = engine.request("POST", f"/containers/{talker}/attach?stream=1&stdout=1&detachKeys=nonsense-")
    assert answer.status == 400
