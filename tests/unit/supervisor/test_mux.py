"""The line between a machine's monitor and its guest: messages and streams over one descriptor."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from shoal.supervisor.loop import Loop
from shoal.supervisor.machine.mux import WINDOW_BYTES, FdSink, Mux, OutputSink

_LIMIT_S = 20


class Ends:
    """Two ends of a line in one loop, and what each has heard."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.errors: list[BaseException] = []
        self.loop.on_error = self.errors.append
        self.heard: list[tuple[str, int, Any]] = []
        self.lost = 0
        first, second = socket.socketpair()
        self.near = Mux(self.loop, first.detach(), lambda *_message: None, self._lost)
        self.far = Mux(self.loop, second.detach(), lambda *message: self.heard.append(message), self._lost)

    def _lost(self) -> None:
        self.lost += 1

    def run_until(self, is_so: Callable[[], bool]) -> None:
        """Lets the loop work until something is so."""

        def look() -> None:
            if is_so():
                self.loop.stop()
            else:
                self.loop.call_later(0.001, look)

        look()
        self.loop.call_later(_LIMIT_S, self.loop.stop)
        self.loop.run()
        assert not self.errors
        assert is_so()


def test_messages_arrive_in_their_order_and_whole() -> None:
    """Whatever the line cuts them into."""
    ends = Ends()
    bodies = [{"n": n, "data": b"x" * (n * 50_000)} for n in range(8)]
    for n, body in enumerate(bodies):
        ends.near.tell("kind", n, body)
    ends.run_until(lambda: len(ends.heard) == len(bodies))
    assert ends.heard == [("kind", n, body) for n, body in enumerate(bodies)]


def test_stream_carries_more_than_its_window_to_the_end() -> None:
    """Credit comes back as the receiver takes bytes up, and the end comes behind the last."""
    ends = Ends()
    source, feed = os.pipe()
    got, out = os.pipe()
    ended: list[int] = []
    near_sink = FdSink(ends.loop, os.open("/dev/null", os.O_WRONLY))
    sink = FdSink(ends.loop, out)
    stream = ends.far.open(7, -1, sink)
    sink.on_taken = stream.taken
    sink.on_ended = ended.append
    ends.near.open(7, source, near_sink)
    data = os.urandom(WINDOW_BYTES * 3 + 11)
    sent, received = 0, b""
    os.set_blocking(feed, False)
    os.set_blocking(got, False)

    def move() -> bool:
        nonlocal sent, received
        for _ in range(4):
            try:
                sent += os.write(feed, data[sent : sent + 65536]) if sent < len(data) else 0
            except BlockingIOError:
                pass
            try:
                received += os.read(got, 65536)
            except BlockingIOError:
                pass
        if sent == len(data) and feed not in closed:
            os.close(feed)
            closed.append(feed)
        return len(received) == len(data) and bool(ended)

    closed: list[int] = []
    ends.run_until(move)
    assert received == data


def test_stream_whose_receiver_takes_nothing_holds_up_no_other() -> None:
    """One program that is not read from must not silence the machine."""
    ends = Ends()
    source, feed = os.pipe()
    os.write(feed, b"x" * 65536)
    full_read, full_write = os.pipe()
    os.set_blocking(full_write, False)
    try:
        while True:
            os.write(full_write, b"x" * 65536)
    except BlockingIOError:
        pass
    sink = FdSink(ends.loop, full_write)
    stream = ends.far.open(1, -1, sink)
    sink.on_taken = stream.taken
    ends.near.open(1, source, FdSink(ends.loop, os.open("/dev/null", os.O_WRONLY)))
    ends.near.tell("through", 1, {})
    ends.run_until(lambda: bool(ends.heard))
    os.close(full_read)


def test_output_in_frames_goes_to_the_stream_that_it_names() -> None:
    """Whatever pieces the frames come in, byte for byte."""
    loop = Loop()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    taken: list[int] = []
    sink = OutputSink(loop, out_write, err_write, on_taken=taken.append, framed=True)
    data = b"\x01\0\0\0\0\0\0\x05first\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\x00\x01\0\0\0\0\0\0\x04last"
    for at in range(len(data)):
        sink.write(data[at : at + 1])
    assert os.read(out_read, 100) == b"firstlast"
    assert os.read(err_read, 100) == b"err"
    assert sum(taken) == len(data)


def test_line_that_ends_is_told_once() -> None:
    """So is a frame of an impossible length: the other end is none of ours."""
    ends = Ends()
    ends.near.send(0, 0, b"")  # no message in it
    ends.near._lost()
    ends.errors.clear()

    def is_lost() -> bool:
        ends.errors.clear()
        return ends.lost == 2

    ends.run_until(is_lost)
