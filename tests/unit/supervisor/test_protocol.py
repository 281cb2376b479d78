"""Messages over a SEQPACKET socket: sizes, descriptors, and a peer that goes."""

from __future__ import annotations

import _socket
import os
import socket

import pytest

from shoal.supervisor.protocol import INLINE_LIMIT_BYTES, MAX_FDS, encode, receive, send_nowait


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Two connected ends."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT_BYTES - 100, INLINE_LIMIT_BYTES, 3 << 20])
def test_message_of_any_size_arrives_whole(size: int) -> None:
    """What does not fit a datagram travels in a memfd."""
    ours, theirs = pair()
    send_nowait(ours, encode("kind", 7, {"data": b"x" * size, "none": None, "list": [1, "ä"]}))
    assert receive(theirs) == ("kind", 7, {"data": b"x" * size, "none": None, "list": [1, "ä"]}, [])


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_message_descriptors_are_copies_and_close_on_exec(size: int) -> None:
    """The sender keeps its own; what arrives is not inherited by accident."""
    ours, theirs = pair()
    read_end, write_end = os.pipe()
    send_nowait(ours, encode("kind", 1, {"data": b"x" * size}), [write_end, read_end])
    message = receive(theirs)
    assert message is not None
    fds = message[3]
    assert len(fds) == 2
    assert not any(os.get_inheritable(fd) for fd in fds)
    os.write(fds[0], b"hi")
    assert os.read(read_end, 10) == b"hi"
    for fd in (*fds, read_end, write_end):
        os.close(fd)


def test_message_with_as_many_descriptors_as_the_kernel_takes_arrives() -> None:
    """SCM_RIGHTS has a limit; up to it nothing is cut."""
    ours, theirs = pair()
    null = os.open("/dev/null", os.O_RDONLY)
    send_nowait(ours, encode("kind", 1, {"data": b"x" * INLINE_LIMIT_BYTES}), [null] * MAX_FDS)
    message = receive(theirs)
    assert message is not None
    assert len(message[3]) == MAX_FDS
    for fd in (*message[3], null):
        os.close(fd)


def test_receive_from_closed_peer_is_none() -> None:
    """The end is told as such."""
    ours, theirs = pair()
    ours.close()
    assert receive(theirs) is None


def test_receive_from_peer_that_left_our_message_unread_gives_its_last_words_first() -> None:
    """The kernel reports the reset before the data that came before it; nothing of that may be lost."""
    ours, theirs = pair()
    send_nowait(theirs, encode("unread", 0, {}))
    send_nowait(ours, encode("last", 0, {}))
    ours.close()
    assert receive(theirs) == ("last", 0, {}, [])
    assert receive(theirs) is None


def test_send_to_peer_that_does_not_read_raises_instead_of_waiting() -> None:
    """A stuck peer must not stop whoever sends."""
    ours, theirs = pair()

    def send_many() -> None:
        for _ in range(10_000):
            send_nowait(ours, encode("kind", 0, {"data": b"x" * 1000}))

    with pytest.raises(BlockingIOError):
        send_many()
    theirs.close()


def test_send_to_closed_peer_raises_without_a_signal() -> None:
    """No SIGPIPE, an error."""
    ours, theirs = pair()
    theirs.close()
    with pytest.raises(OSError):
        send_nowait(ours, encode("kind", 0, {}))


def test_receive_nowait_without_message_raises() -> None:
    """Nothing there is not the end."""
    ours, theirs = pair()
    with pytest.raises(BlockingIOError):
        receive(theirs, socket.MSG_DONTWAIT)
    ours.close()
