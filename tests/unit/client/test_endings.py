"""Time limits, and actions that must run to their end, of both clients."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading

import pytest

from shoal.client import driver, endings
from shoal.client.aio import driver as aio_driver
from shoal.client.aio import endings as aio_endings
from shoal.client.transport import SocketConnection
from shoal.errors import TimedOut


def test_undisturbed_ctrl_c_counts_when_the_action_is_over() -> None:
    """The action ends, then comes the KeyboardInterrupt, and Python's own handler is back."""
    done: list[str] = []

    def action() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append("to the end")

    with pytest.raises(KeyboardInterrupt):
        endings.undisturbed(action)
    assert done == ["to the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_undisturbed_second_ctrl_c_does_not_wait() -> None:
    """An action that hangs can be left."""
    done: list[str] = []

    def action() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        endings.undisturbed(action)
    assert done == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_undisturbed_gives_what_the_action_gives_or_raises() -> None:
    """In the main thread, in another one, and under a time limit that is over."""
    with endings.time_limit(0):
        assert endings.undisturbed(lambda: driver.deadline.get()) is None
    outcome: list[int] = []
    thread = threading.Thread(target=lambda: outcome.append(endings.undisturbed(lambda: 5)))
    thread.start()
    thread.join()
    assert outcome == [5]
    with pytest.raises(ZeroDivisionError):
        endings.undisturbed(lambda: 1 // 0)


def test_undisturbed_cancellation_counts_when_the_action_is_over() -> None:
    """The task that awaits is cancelled once the action has ended; a second one cancels the action."""

    async def scenario() -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()
        done: list[str] = []

        async def action() -> None:
            begun.set()
            await may_end.wait()
            done.append("to the end")

        task = asyncio.create_task(aio_endings.undisturbed(action))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["to the end"]
        may_end.clear()
        task = asyncio.create_task(aio_endings.undisturbed(action))
        for _ in range(2):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["to the end"]

    asyncio.run(scenario())


def test_time_limit_of_a_receive_and_of_a_send() -> None:
    """A peer that says nothing, and one that takes nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = SocketConnection(ours)
        with pytest.raises(TimedOut), endings.time_limit(0.05):
            driver.receive(connection, 1)
        with pytest.raises(TimedOut), endings.time_limit(0.05):
            driver.send_all(connection, b"x" * (8 << 20))
        with pytest.raises(TimedOut), endings.time_limit(0.05):
            endings.pause(10)


def test_time_limit_of_awaits() -> None:
    """The same under asyncio; what raises TimeoutError for another reason is left alone."""

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            connection = SocketConnection(ours)
            with pytest.raises(TimedOut):
                async with aio_endings.time_limit(0.05):
                    await aio_driver.receive(connection, 1)
            with pytest.raises(TimeoutError):
                async with aio_endings.time_limit(10):
                    raise TimeoutError

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_converse_sends_and_receives_at_once(size: int) -> None:
    """An echo of any size comes back whole, from both clients, and this side's end is told."""
    data = os.urandom(size)

    def echo(peer: socket.socket) -> None:
        with peer:
            while piece := peer.recv(65536):
                peer.sendall(piece)

    for converse in (driver.converse, lambda *parts: asyncio.run(aio_driver.converse(*parts))):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=echo, args=(theirs,))
        thread.start()
        received: list[bytes] = []
        with ours:
            converse(SocketConnection(ours), data, received.append)
        thread.join()
        assert b"".join(received) == data
