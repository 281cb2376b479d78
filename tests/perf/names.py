"""Names in a network of a user's own: how quickly the engine's resolver answers, and what it adds to another server."""

from __future__ import annotations

import socket
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines.busybox import IMAGE
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of
from tests.perf.measures import Row, note
from tests.perf.subjects import IDLE, DaemonSubject, Failed, Subject

RESOLVER = ("127.0.0.11", 53)
_QUERIES = 20_000
_AHEAD = 32
_SAMPLES = 500


def name_rows(subjects: list[Subject]) -> list[Row]:
    """Answers a second, the time of one, and what a name of the world outside takes longer than without the engine."""
    rate = Row("names of containers, answers a second (UDP, 32 questions ahead)", "/s", more_is_better=True)
    one = Row("a container's name, one question after the other, median", "ms")
    added = Row("a foreign name, median over a question to the server itself", "ms")
    for subject in subjects:
        if not isinstance(subject, DaemonSubject):
            continue
        note(f"names on {subject.name}")
        try:
            with _clients(subject.engine) as (asking, direct):
                rate.values[subject.name] = _rate(asking)
                one.values[subject.name] = _median_ms(asking, known=True)
                through, alone = (_median_ms(client, known=False) for client in (asking, direct))
                added.values[subject.name] = max(through - alone, 0.0)
        except (Failed, subprocess.SubprocessError, AssertionError, OSError) as problem:
            note(f"{subject.name}: {problem}")
    return [rate, one, added]


@contextmanager
def _clients(engine: Engine) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket in a container to the engine's resolver, and one to the name server in another that the engine asks."""
    engine.ok("network", "create", "bench-net")
    try:
        engine.ok("run", "-d", "--name", "bench-server", "--network", "bench-net", IMAGE, *IDLE)
        form = '{{(index .NetworkSettings.Networks "bench-net").IPAddress}} {{.State.Pid}}'
        address, pid = engine.ok("inspect", "-f", form, "bench-server").split()
        options = ("--name", "bench-client", "--network", "bench-net", "--dns", address)
        engine.ok("run", "-d", *options, IMAGE, *IDLE)
        client_pid = int(engine.ok("inspect", "-f", "{{.State.Pid}}", "bench-client"))
        with (
            in_network_of(int(pid), lambda: _bound(53)) as server,
            in_network_of(client_pid, lambda: _bound(0)) as asking,
            in_network_of(client_pid, lambda: _bound(0)) as direct,
        ):
            asking.connect(RESOLVER)
            direct.connect((address, 53))
            thread = threading.Thread(target=_serve, args=(server,), daemon=True)
            thread.start()
            try:
                yield asking, direct
            finally:
                direct.send(b"end")
                thread.join(5)
    finally:
        engine.docker("rm", "-f", "bench-server", "bench-client")
        engine.docker("network", "rm", "bench-net")


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    sock.settimeout(None if port else 5)
    return sock


def _serve(server: socket.socket) -> None:
    """Answers every question with the same address."""
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\x50"
    while True:
        query, client = server.recvfrom(512)
        if query == b"end":
            return
        server.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:] + record, client)


def _query(id: int, name: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", id, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def _rate(client: socket.socket) -> float:
    query = _query(1, "bench-server")
    begin = time.perf_counter()
    for number in range(_QUERIES + _AHEAD):
        if number < _QUERIES:
            client.send(query)
        if number >= _AHEAD:
            client.recv(512)
    return _QUERIES / (time.perf_counter() - begin)


def _median_ms(client: socket.socket, *, known: bool) -> float:
    times = []
    for number in range(_SAMPLES):
        query = _query(number, "bench-server" if known else f"x{number}.example.org")
        begin = time.perf_counter()
        client.send(query)
        client.recv(512)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)
