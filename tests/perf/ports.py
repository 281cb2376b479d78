"""Published ports measured: what many of them cost at a start, and a new connection among many of them."""

from __future__ import annotations

import contextlib
import socket
import statistics
import time

from tests.engines.busybox import IMAGE
from tests.perf.measures import Row, note
from tests.perf.subjects import IDLE, Failed, Subject, timed

_FIRST = 20_000
_CONNECTIONS = 500


def port_rows(subjects: list[Subject], rounds: int) -> list[Row]:
    """The start of a container with and without ports, taking turns; connections with one port and with a thousand."""
    starts = [_start_row(subjects, rounds, count) for count in (0, 100)]
    return [*starts, _connection_row(subjects, 1), _connection_row(subjects, 1000)]


def _publish(count: int, port: int = 80) -> list[str]:
    return [word for number in range(count) for word in ("-p", f"127.0.0.1:{_FIRST + number}:{port}")]


def _start_row(subjects: list[Subject], rounds: int, count: int) -> Row:
    """The time of `start` alone: that of `create` is spent on reading a hundred flags."""
    row = Row(f"`start` of a container with {count or 'no'} published ports", "ms")
    note(row.title)
    for subject in subjects:
        samples = []
        try:
            for _ in range(rounds + 1):
                timed(subject, "create", "--name", "bench-ports", *_publish(count), IMAGE, *IDLE)
                samples.append(timed(subject, "start", "bench-ports") * 1000)
                timed(subject, "rm", "-f", "bench-ports")
        except Failed as problem:
            note(f"{subject.name}: {problem}")
            with contextlib.suppress(Failed):
                timed(subject, "rm", "-f", "bench-ports")
            continue
        row.values[subject.name] = statistics.median(samples[1:])
    return row


def _connection_row(subjects: list[Subject], count: int) -> Row:
    """A new connection to the last of them, from the host. Of shoald alone: a thousand proxies are dockerd's way."""
    row = Row(f"a connection to the last of {count:,} published ports (shoald alone)", "ms")
    note(row.title)
    for subject in (one for one in subjects if one.name == "shoald"):
        web = ("httpd", "-f", "-p", "80")
        timed(subject, "run", "-d", "--name", "bench-ports", *_publish(count), IMAGE, *web)
        target = ("127.0.0.1", _FIRST + count - 1)
        _wait_open(target)
        samples = []
        for _ in range(_CONNECTIONS):
            begin = time.perf_counter()
            socket.create_connection(target, 5).close()
            samples.append((time.perf_counter() - begin) * 1000)
        row.values[subject.name] = statistics.median(samples)
        timed(subject, "rm", "-f", "bench-ports")
    return row


def _wait_open(target: tuple[str, int]) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(target, 5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # until httpd listens, which nothing tells
        else:
            return
