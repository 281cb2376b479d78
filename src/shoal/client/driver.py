"""What the client that waits does with a connection: the twin of `client.aio.driver`.

These two modules are all that differs between the two clients; what stands on them is written once, in `client.aio`,
and derived (`./dev twins`).
"""

from __future__ import annotations

import select
import time
from _contextvars import ContextVar

from shoal.errors import TimedOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from shoal.client.transport import Connection, Transport

    _Result = TypeVar("_Result")

_PIECE_BYTES = 256 * 1024
_RECEIVE_BYTES = 65536
# The moment (of time.monotonic) at which the time limit of this thread is over; set by `client.endings`.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def open_connection(transport: Transport) -> Connection:
    """A fresh connection; the caller closes it. Raises: as `Transport.connect`."""
    return transport.connect()


def receive(connection: Connection, size: int) -> bytes:
    """At most `size` bytes, b"" at the end. Raises: OSError; TimedOut when the time limit is over."""
    if deadline.get() is not None:
        _wait_until_ready(connection, select.POLLIN)
    return connection.receive(size)


def send_all(connection: Connection, data: bytes) -> None:
    """Sends every byte. Raises: OSError; TimedOut when the time limit is over."""
    if deadline.get() is None:
        connection.send_all(data)
        return
    left = memoryview(data)
    while left := left[connection.send_nowait(bytes(left[:_PIECE_BYTES])) :]:
        _wait_until_ready(connection, select.POLLOUT)


def end_input(connection: Connection) -> None:
    """Ends this side's stream; the other may go on."""
    connection.close_write()


def _wait_until_ready(connection: Connection, events: int) -> None:
    poll = select.poll()
    poll.register(connection.fileno(), events)
    moment = deadline.get()
    if not poll.poll(None if moment is None else max(0, (moment - time.monotonic()) * 1000)):
        raise TimedOut("the time limit is over")


def _is_readable(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def converse(connection: Connection, data: bytes | None, take: Callable[[bytes], None]) -> None:
    """Hands all that comes to `take` until the engine's end, and sends `data` meanwhile, then this side's end.

    None sends nothing, not even an end. Raises: OSError; TimedOut when the time limit is over.
    """
    left = memoryview(data or b"")
    sending = data is not None
    while True:
        if sending:
            _wait_until_ready(connection, select.POLLIN | select.POLLOUT)
            try:
                left = left[connection.send_nowait(bytes(left[:_PIECE_BYTES])) :]
                if not left:
                    sending = False
                    connection.close_write()
            except (BrokenPipeError, ConnectionResetError):
                sending = False  # the program takes no more; its output may still come
            if not _is_readable(connection):
                continue
        received = receive(connection, _RECEIVE_BYTES)
        if not received:
            return
        take(received)


def file_pieces(path: str) -> Iterator[bytes]:
    """The content of a file, piece by piece."""
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def produced(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces whose making blocks, one after another."""
    return pieces


def consumed(pieces: Iterator[bytes], consumer: Callable[[Iterator[bytes]], _Result]) -> _Result:
    """What a consumer that blocks makes of pieces that come."""
    return consumer(pieces)
