"""Messages to another process: whole, in order, bounded, and never waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.supervisor import logsink_outlet
from shoal.supervisor.logsink_outlet import Outlet
from shoal.supervisor.loop import Loop

LIMIT_S = 10.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when something went wrong."""
    loop = Loop()
    loop.call_later(LIMIT_S, loop.stop)
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again soon."""
    monkeypatch.setattr(logsink_outlet, "RETRY_S", 0.02)


class Bench:
    """An outlet, and what it complained about."""

    def __init__(self, loop: Loop, protocol: str, address: str, port: int = 0, **settings: object) -> None:
        self.loop = loop
        self.problems: list[str] = []
        remote = {"protocol": protocol, "address": address, "port": port, "format": "", "facility": 3, "tag": "t"}
        remote |= {"hostname": "h", "fields": {}, "blocking": True, "queue_bytes": 1 << 20, "relay": "", "tls": []}
        self.outlet = Outlet(loop, remote | settings, self.problems.append)  # type: ignore[arg-type]

    def run(self, seconds: float) -> None:
        """Lets the loop work."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run()

    def finish(self) -> None:
        """Ends the outlet, as when the container ends, and waits for it."""
        if not self.outlet.finish(self.loop.stop):
            self.loop.run()


def drained(sock: socket.socket) -> list[bytes]:
    """All datagrams that are there."""
    sock.setblocking(False)
    found = []
    while True:
        try:
            found.append(sock.recv(1 << 20))
        except BlockingIOError:
            return found


def test_datagrams_come_one_for_each_message(loop: Loop) -> None:
    """Over UDP, and as they were."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        bench = Bench(loop, "udp", *server.getsockname())
        bench.outlet.put([b"one\n", b"two\n"])
        bench.finish()
        assert drained(server) == [b"one\n", b"two\n"]
    assert bench.problems == []


def test_udp_without_a_server_costs_nothing(loop: Loop) -> None:
    """UDP promises nothing: refused datagrams are lost, later ones come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
    bench = Bench(loop, "udp", *address)
    for _ in range(5):
        bench.outlet.put([b"lost\n"])
        bench.run(0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        bench.outlet.put([b"came\n"])
        bench.finish()
        assert drained(server)[-1] == b"came\n"
    assert bench.problems == []


def test_full_datagram_socket_is_waited_for_by_the_loop(loop: Loop, tmp_path: Path) -> None:
    """A receiver that reads late gets everything, in order; the sender never blocks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        bench = Bench(loop, "unixgram", str(tmp_path / "log"))
        messages = [b"%d\n" % number for number in range(2000)]
        bench.outlet.put(messages)
        found: list[bytes] = []

        def read() -> None:
            found.extend(drained(server))
            if len(found) < len(messages):
                loop.call_later(0.001, read)

        read()
        bench.finish()
        found += drained(server)
        assert found == messages


def test_stream_carries_more_than_its_buffers(loop: Loop) -> None:
    """A megabyte over TCP to a reader that begins late."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bench = Bench(loop, "tcp", *server.getsockname())
        messages = [b"message %06d %s\n" % (number, b"x" * 80) for number in range(10_000)]
        bench.outlet.put(messages)
        connection, _ = server.accept()
        data = bytearray()

        def read(_events: int) -> None:
            data.extend(connection.recv(1 << 16))

        loop.call_later(0.05, lambda: loop.watch(connection.fileno(), 1, read))
        bench.finish()
        loop.unwatch(connection.fileno())
        with connection:
            while piece := connection.recv(1 << 16):
                data.extend(piece)
        assert bytes(data) == b"".join(messages)


def test_blocking_full_queue_asks_for_a_pause_and_tells_of_room(loop: Loop) -> None:
    """A receiver that does not read makes its container wait; none of its lines is lost."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bench = Bench(loop, "tcp", *server.getsockname(), queue_bytes=100_000)
        bench.run(0.02)
        connection, _ = server.accept()
        sent = 0
        while not bench.outlet.is_full:
            bench.outlet.put([b"x" * 9_999 + b"\n"] * 20)
            sent += 200_000
            bench.run(0.001)
        told: list[bool] = []
        bench.outlet.on_room = lambda: told.append(True)
        received = 0

        def read(_events: int) -> None:
            nonlocal received
            received += len(connection.recv(1 << 20))

        loop.watch(connection.fileno(), 1, read)
        bench.finish()
        loop.unwatch(connection.fileno())
        with connection:
            while piece := connection.recv(1 << 20):
                received += len(piece)
        assert (bool(told), received, bench.problems) == (True, sent, [])


def test_non_blocking_full_queue_loses_the_newest_and_tells(loop: Loop) -> None:
    """mode=non-blocking: never full; what is lost is counted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bench = Bench(loop, "tcp", *server.getsockname(), blocking=False, queue_bytes=50_000)
        for _ in range(2000):
            bench.outlet.put([b"x" * 9_999 + b"\n"])
        assert not bench.outlet.is_full
        bench.outlet.close()
        assert "does not keep up, messages are lost" in bench.problems[0]
        assert bench.problems[-1].endswith("messages are lost")


def test_receiver_that_comes_back_gets_what_waited(loop: Loop, tmp_path: Path) -> None:
    """A server that restarts misses nothing that fitted into the queue; that it was away is told once."""
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        bench = Bench(loop, "unixgram", str(path))
        bench.outlet.put([b"before\n"])
        assert drained(server) == [b"before\n"]
    os.unlink(path)
    bench.outlet.put([b"while\n"])
    bench.outlet.put([b"away\n"])
    assert not bench.outlet.is_full
    bench.run(0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        bench.run(0.2)
        assert drained(server) == [b"while\n", b"away\n"]
        bench.finish()
    assert len(bench.problems) == 2
    assert bench.problems[0].startswith(f"log receiver unixgram://{path}: ")
    assert bench.problems[1].endswith("is back")


def test_receiver_that_is_away_loses_what_does_not_fit_and_stops_nobody(loop: Loop, tmp_path: Path) -> None:
    """A dead server must not stop a container, though mode=blocking."""
    bench = Bench(loop, "unixgram", str(tmp_path / "nobody"), queue_bytes=100)
    bench.outlet.put([b"%03d\n" % number for number in range(1000)])
    assert not bench.outlet.is_full
    assert bench.outlet.finish(loop.stop)
    assert bench.problems[-1].endswith("1000 messages are lost")


def test_stream_torn_in_a_message_sends_it_again_whole(loop: Loop) -> None:
    """After a lost connection the new one begins with a whole message."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT_S)
        bench = Bench(loop, "tcp", *server.getsockname(), queue_bytes=100_000)
        bench.run(0.02)
        first, _ = server.accept()
        while not bench.outlet.is_full:
            bench.outlet.put([b"%06d %s\n" % (number, b"x" * 50_000) for number in range(20)])
        first.recv(1000)
        first.close()
        bench.run(0.2)
        second, _ = server.accept()
        second.settimeout(LIMIT_S)
        head = second.recv(7)
        assert head.endswith(b" ")
        assert head[:6].isdigit()
        second.close()
        bench.outlet.close()


def test_message_too_long_for_a_datagram_goes_in_a_memfd(loop: Loop, tmp_path: Path) -> None:
    """systemd's journal takes it so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        bench = Bench(loop, "unixgram", str(tmp_path / "journal"), format="journald")
        message = b"MESSAGE=" + b"x" * (1 << 20) + b"\n"
        bench.outlet.put([message])
        data, fds, _, _ = socket.recv_fds(server, 100, 1)
        assert data == b""
        with os.fdopen(fds[0], "rb") as file:
            file.seek(0)
            assert file.read() == message
        bench.finish()
