"""What the client that awaits does with a connection: the twin of `client.driver`, on an asyncio loop.

The loop says when a connection is ready, the Connection itself moves the bytes: so every transport serves both clients.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from shoal.client.transport import Connection, Transport

_Result = TypeVar("_Result")
_PIECE_BYTES = 256 * 1024
_RECEIVE_BYTES = 65536


async def open_connection(transport: Transport) -> Connection:
    """A fresh connection, made in a thread; the caller closes it. Raises: as `Transport.connect`."""
    connecting = asyncio.get_running_loop().run_in_executor(None, transport.connect)
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close_result)  # nobody waits for it any more
        raise


def _close_result(connecting: asyncio.Future[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


async def receive(connection: Connection, size: int) -> bytes:
    """At most `size` bytes, b"" at the end. Raises: OSError."""
    await _wait_until_ready(connection, select.POLLIN)
    return connection.receive(size)  # which does not block any more, as every connection is a socket


async def send_all(connection: Connection, data: bytes) -> None:
    """Sends every byte. Raises: OSError."""
    left = memoryview(data)
    while left := left[connection.send_nowait(bytes(left[:_PIECE_BYTES])) :]:
        await _wait_until_ready(connection, select.POLLOUT)


async def end_input(connection: Connection) -> None:
    """Ends this side's stream; the other may go on."""
    connection.close_write()


async def _wait_until_ready(connection: Connection, event: int) -> None:
    loop = asyncio.get_running_loop()
    descriptor = connection.fileno()
    poll = select.poll()
    poll.register(descriptor, event)
    if poll.poll(0):
        await asyncio.sleep(0)  # a stream that is always ready must not keep others from running
        return
    ready = loop.create_future()
    add, remove = (
        (loop.add_reader, loop.remove_reader) if event == select.POLLIN else (loop.add_writer, loop.remove_writer)
    )
    add(descriptor, _settle, ready)
    try:
        await ready
    finally:
        remove(descriptor)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def converse(connection: Connection, data: bytes | None, take: Callable[[bytes], None]) -> None:
    """Hands all that comes to `take` until the engine's end, and sends `data` meanwhile, then this side's end.

    None sends nothing, not even an end. Raises: OSError.
    """
    sending = None if data is None else asyncio.ensure_future(_send_and_end(connection, data))
    try:
        while received := await receive(connection, _RECEIVE_BYTES):
            take(received)
    finally:
        if sending is not None:
            sending.cancel()
            await asyncio.wait([sending])


async def _send_and_end(connection: Connection, data: bytes) -> None:
    try:
        await send_all(connection, data)
        await end_input(connection)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the program takes no more; its output may still come


async def file_pieces(path: str) -> AsyncIterator[bytes]:
    """The content of a file, piece by piece, read in a thread."""
    with open(path, "rb", buffering=0) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece


async def produced(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces whose making blocks, one after another, made in threads."""
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


async def consumed(pieces: AsyncIterator[bytes], consumer: Callable[[Iterator[bytes]], _Result]) -> _Result:
    """What a consumer that blocks makes of pieces that come; it runs in a thread.

    A cancellation ends the consumer's iteration with an error, and waits for its end.
    """
    loop = asyncio.get_running_loop()
    asking: list[asyncio.Task[object] | None] = []
    is_over = False

    async def next_piece() -> bytes:
        if is_over:
            raise asyncio.CancelledError
        asking[:] = [asyncio.current_task()]
        return await anext(pieces, b"")

    def bridge() -> Iterator[bytes]:
        while piece := asyncio.run_coroutine_threadsafe(next_piece(), loop).result():
            yield piece

    consuming = asyncio.ensure_future(asyncio.to_thread(consumer, bridge()))
    try:
        return await asyncio.shield(consuming)
    except asyncio.CancelledError:
        is_over = True
        for task in asking:
            if task is not None:
                task.cancel()
        await asyncio.wait([consuming])
        if not consuming.cancelled():
            consuming.exception()  # which the cancellation has caused
        raise
