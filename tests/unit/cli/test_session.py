"""The loop that carries bytes between the user and a stream, over real descriptors."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from shoal.api.stdcopy import encode_frame
from shoal.cli.session import Reactions, Session, Streams
from shoal.cli.terminal import SignalInbox
from shoal.client.http import Hijacked
from shoal.client.transport import SocketConnection
from shoal.errors import Internal

BIG = bytes(range(256)) * 2048  # 512 KiB, more than any buffer on the way


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Hijacked]]:
    """The engine's end of a stream, and the client's."""
    engine, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    hijacked = Hijacked(SocketConnection(client), "", b"")
    yield engine, hijacked
    hijacked.close()
    engine.close()


def carry(
    hijacked: Hijacked,
    *,
    stdin: int | None = None,
    multiplexed: bool = True,
    keys: bytes = b"",
    on_signal: Callable[[int], None] = lambda _number: None,
    on_resize: Callable[[], None] = lambda: None,
    signals: tuple[int, ...] = (),
) -> tuple[bool, bytes, bytes]:
    """Runs a session; (whether it was detached, stdout, stderr)."""
    out, err = io.BytesIO(), io.BytesIO()
    with SignalInbox(signals) as inbox:
        session = Session(
            hijacked,
            Streams(stdin, out, err),
            inbox,
            Reactions(on_signal, on_resize),
            multiplexed=multiplexed,
            detach_keys=keys,
        )
        detached = session.run()
    return detached, out.getvalue(), err.getvalue()


def in_background(work: Callable[[], None]) -> threading.Thread:
    """Starts the engine's part."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_session_takes_frames_apart(pair: tuple[socket.socket, Hijacked]) -> None:
    """stdout and stderr each get theirs, until the engine ends the stream."""
    engine, hijacked = pair
    engine.sendall(encode_frame(1, b"out") + encode_frame(2, b"err") + encode_frame(1, b"more"))
    engine.shutdown(socket.SHUT_WR)
    assert carry(hijacked) == (False, b"outmore", b"err")


def test_session_early_bytes_come_first(pair: tuple[socket.socket, Hijacked]) -> None:
    """Those that came with the 101."""
    engine, hijacked = pair
    frame = encode_frame(1, b"early")
    hijacked.early = frame[:9]
    engine.sendall(frame[9:] + encode_frame(1, b" late"))
    engine.shutdown(socket.SHUT_WR)
    assert carry(hijacked)[1] == b"early late"


def test_session_of_a_terminal_is_raw(pair: tuple[socket.socket, Hijacked]) -> None:
    """Bytes that look like a frame are shown as they are."""
    engine, hijacked = pair
    engine.sendall(encode_frame(1, b"x"))
    engine.shutdown(socket.SHUT_WR)
    assert carry(hijacked, multiplexed=False)[1] == encode_frame(1, b"x")


def test_session_engines_error_in_the_stream_is_raised(pair: tuple[socket.socket, Hijacked]) -> None:
    """Stream 3 is no output."""
    engine, hijacked = pair
    engine.sendall(encode_frame(3, b"broken"))
    with pytest.raises(Internal, match="error from daemon in stream: broken"):
        carry(hijacked)


def test_session_end_of_stdin_half_closes(pair: tuple[socket.socket, Hijacked]) -> None:
    """The engine sees the end, answers after it, and the answer is shown."""
    engine, hijacked = pair
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"question")
    os.close(write_fd)

    def answer() -> None:
        received = b""
        while data := engine.recv(100):
            received += data
        engine.sendall(encode_frame(1, b"you said " + received))
        engine.close()

    thread = in_background(answer)
    assert carry(hijacked, stdin=read_fd) == (False, b"you said question", b"")
    thread.join(5)
    os.close(read_fd)


def test_session_echo_of_much_input_does_not_block(pair: tuple[socket.socket, Hijacked]) -> None:
    """An engine that answers while it reads: more goes each way than both sockets hold."""
    engine, hijacked = pair
    read_fd, write_fd = os.pipe()

    def echo() -> None:
        while data := engine.recv(5000):
            engine.sendall(encode_frame(1, data))
        engine.close()

    def type_all() -> None:
        with os.fdopen(write_fd, "wb") as file:
            file.write(BIG)

    threads = [in_background(echo), in_background(type_all)]
    assert carry(hijacked, stdin=read_fd)[1] == BIG
    for thread in threads:
        thread.join(5)
    os.close(read_fd)


def test_session_goes_on_when_the_engine_takes_no_more_input(pair: tuple[socket.socket, Hijacked]) -> None:
    """A program that closes its input may still write."""
    engine, hijacked = pair
    read_fd, write_fd = os.pipe()
    engine.shutdown(socket.SHUT_RD)
    os.write(write_fd, b"x" * 1000)
    engine.sendall(encode_frame(1, b"still here"))

    def end() -> None:
        engine.shutdown(socket.SHUT_WR)

    timer = threading.Timer(0.2, end)
    timer.start()
    assert carry(hijacked, stdin=read_fd) == (False, b"still here", b"")
    timer.join()
    os.close(read_fd)
    os.close(write_fd)


def test_session_detach_keys_end_it(pair: tuple[socket.socket, Hijacked]) -> None:
    """What was typed before them is sent."""
    engine, hijacked = pair
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"ls\r\x10\x11")
    assert carry(hijacked, stdin=read_fd, multiplexed=False, keys=b"\x10\x11")[0]
    assert engine.recv(100) == b"ls\r"
    os.close(read_fd)
    os.close(write_fd)


def test_session_signals_reach_their_reactions(pair: tuple[socket.socket, Hijacked]) -> None:
    """SIGWINCH resizes; every other one is handed on; neither ends the session."""
    engine, hijacked = pair
    seen: list[int] = []

    def note(number: int) -> None:
        seen.append(number)
        if number == signal.SIGUSR1:
            os.kill(os.getpid(), signal.SIGWINCH)

    def resized() -> None:
        seen.append(0)
        engine.shutdown(socket.SHUT_WR)

    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    numbers = (signal.SIGUSR1, signal.SIGWINCH)
    assert carry(hijacked, on_signal=note, on_resize=resized, signals=numbers) == (False, b"", b"")
    timer.join()
    assert seen == [signal.SIGUSR1, 0]


def test_session_reset_by_the_engine_is_its_end(pair: tuple[socket.socket, Hijacked]) -> None:
    """An engine that dies ends the session; the exit code is asked for afterwards."""
    engine, hijacked = pair
    engine.close()
    assert carry(hijacked) == (False, b"", b"")
