"""The streams of a process, without the process: what it leaves in its pipes when it ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.supervisor.attach import PENDING_LIMIT_BYTES
from shoal.supervisor.loop import Loop
from shoal.supervisor.protocol import close_all
from shoal.supervisor.stdio import Streams


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.is_flushed = False

    def stdin_closed(self) -> None:
        """Not of interest."""

    def detached(self) -> None:
        """Not of interest."""

    def problem(self, text: str) -> None:
        """Kept."""
        self.problems.append(text)

    def flushed(self) -> None:
        """Kept."""
        self.is_flushed = True


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when something went wrong."""
    loop = Loop()
    loop.call_later(10, loop.stop)
    yield loop
    loop.close()


def capacity() -> int:
    """How much a socket takes, in pieces of 10,000 bytes, that nobody reads."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    taken = 0
    with ours, theirs:
        while True:
            try:
                taken += theirs.send(b"x" * 10_000)
            except BlockingIOError:
                return taken


def run(loop: Loop, seconds: float) -> None:
    """Lets the loop work."""
    loop.call_later(seconds, loop.stop)
    loop.run()


def test_finish_with_a_client_that_is_behind_gives_it_all_the_same(loop: Loop, tmp_path: Path) -> None:
    """A process that ends may leave more in its pipe than its slow client has room for; it gets it all the same."""
    told = Told()
    streams = Streams(loop, str(tmp_path), "", told, stdin_once=False)
    ends = streams.make_pipes(open_stdin=False)
    os.set_blocking(ends[1], False)
    ours, theirs = socket.socketpair()
    options = {"id": "", "exec_id": None, "stdin": False, "stdout": True, "stderr": True, "mux": False}
    streams.add_client(options | {"detach_keys": b"", "early": b"", "fd": 0}, theirs.detach())  # type: ignore[arg-type]
    streams.start()
    written = 0
    # Up to just below the limit of what may wait for a client; then a pipe full.
    while written < capacity() + PENDING_LIMIT_BYTES - 20_000:
        written += os.write(ends[1], b"x" * 10_000)
        run(loop, 0.001)
    while True:
        try:
            written += os.write(ends[1], b"y" * 4096)
        except BlockingIOError:
            break
    streams.finish()
    streams.end_clients()
    received = 0
    ours.setblocking(False)

    def read(_events: int) -> None:
        nonlocal received
        data = ours.recv(1 << 20)
        received += len(data)
        if not data:
            loop.unwatch(ours.fileno())
            ours.close()
            loop.call_later(0.01, loop.stop)

    loop.watch(ours.fileno(), 1, read)
    loop.run()
    close_all(ends)
    assert (received, told.is_flushed, told.problems) == (written, True, [])


def test_log_of_a_receiver_that_stalls_stops_reading_and_goes_on(loop: Loop, tmp_path: Path) -> None:
    """The container waits with a full pipe while its log cannot be sent, and nothing is lost."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        remote = {"protocol": "tcp", "address": host, "port": port, "format": "", "facility": 3, "tag": "t"}
        remote |= {"hostname": "h", "fields": {}, "blocking": True, "queue_bytes": 20_000, "relay": "", "tls": []}
        log = {"driver": "none", "path": "", "max_size_bytes": None, "max_files": 1, "attributes": {}}
        streams = Streams(loop, str(tmp_path), "", told, stdin_once=False)
        ends = streams.make_pipes(open_stdin=False)
        os.set_blocking(ends[1], False)
        streams.set_log(log | {"compressor": "", "remote": remote}, terminal=False)  # type: ignore[arg-type]
        streams.start()
        run(loop, 0.02)
        connection, _ = server.accept()
        lines, stuck = 0, 0
        while stuck < 50:
            try:
                os.write(ends[1], b"%07d\n" % lines)
                lines, stuck = lines + 1, 0
            except BlockingIOError:
                stuck += 1
                run(loop, 0.001)
        data = bytearray()

        def read(_events: int) -> None:
            data.extend(connection.recv(1 << 20))

        loop.watch(connection.fileno(), 1, read)
        run(loop, 0.2)
        streams.finish()
        streams.end_clients()
        run(loop, 0.5)
        loop.unwatch(connection.fileno())
        connection.close()
        close_all(ends)
    numbers = [int(line.rpartition(b" ")[2]) for line in bytes(data).splitlines()]
    assert numbers == list(range(lines))
    assert told.problems == []
