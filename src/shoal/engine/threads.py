"""Blocking work on streams, in threads: the image store reads and writes files, the server awaits.

    AsyncIterator[bytes] ──▶ BodyReader ──▶ a thread's read()
    a thread's put()     ──▶ produced_by ──▶ AsyncIterator[T]

Nothing is buffered beyond a few pieces, so the slower side holds the faster back. When the awaiting side leaves, the
thread is told by `ClientGone` out of its next read or put.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Executor, Future
from typing import Any, Generic, Protocol, TypeVar

from shoal.errors import ShoalError

T = TypeVar("T")
PIECE_BYTES = 256 * 1024
_WAITING = 4
_AHEAD_BYTES = 1 << 20


class ClientGone(ShoalError):
    """Whoever the work was for has left."""


class BodyReader(io.RawIOBase):
    """A request's body as a file that a thread reads. Made, and abandoned, on the event loop.

    The next pieces are received while the thread works on these: whoever sends and whoever writes work side by side.
    Many at a time, since each time the thread and the loop wake each other.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._body = body
        self._rest = memoryview(b"")
        self._pieces: list[bytes] = []  # that come behind it, the last one first
        self._calls: _Calls[list[bytes]] = _Calls()
        self._is_ahead = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer` as far as the next piece goes; 0 at the end. Raises: ClientGone."""
        while not self._rest:
            if not self._pieces and not self._receive():
                return 0
            self._rest = memoryview(self._pieces.pop())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def abandon(self) -> None:
        """Makes the thread's present and later reads fail."""
        self._calls.abandon()

    def _receive(self) -> bool:
        """Whether there are further pieces; waits for them, and has those behind them received meanwhile."""
        if not self._is_ahead:
            self._calls.begin(self._begin)
        pieces = self._calls.result()
        self._is_ahead = bool(pieces)
        if self._is_ahead:
            self._calls.begin(self._begin)
        self._pieces = pieces[::-1]
        return self._is_ahead

    def _begin(self) -> Future[list[bytes]]:
        return asyncio.run_coroutine_threadsafe(_next(self._body), self._loop)


async def _next(body: AsyncIterator[bytes]) -> list[bytes]:
    """The next pieces, about a megabyte of them; none at the end."""
    pieces: list[bytes] = []
    size = 0
    while size < _AHEAD_BYTES and (piece := await anext(body, None)) is not None:
        pieces.append(piece)
        size += len(piece)
    return pieces


class _Calls(Generic[T]):
    """What a thread has done on the event loop, one thing at a time, until the loop's side gives it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: Future[T] | None = None
        self._abandoned = False

    def begin(self, start: Callable[[], Future[T]]) -> None:
        """Let `start` begin something on the loop. Raises: ClientGone."""
        with self._lock:
            if self._abandoned:
                raise ClientGone("the client has gone")
            self._pending = start()

    def result(self) -> T:
        """Wait for what was begun last. Raises: ClientGone, and what it raises."""
        pending = self._pending
        assert pending is not None, "nothing was begun"
        try:
            return pending.result()
        except FutureCancelled:
            raise ClientGone("the client has gone") from None

    def abandon(self) -> None:
        """Ends the thread's wait, and every later one."""
        with self._lock:
            self._abandoned = True
            if self._pending is not None:
                self._pending.cancel()


class Outlet(Generic[T]):
    """The thread's end of a stream."""

    def __init__(self, queue: asyncio.Queue[T | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = queue
        self._calls: _Calls[None] = _Calls()
        self._is_abandoned = False

    def put(self, item: T) -> None:
        """Passes `item` on, waiting for room. Raises: ClientGone."""
        self._calls.begin(lambda: asyncio.run_coroutine_threadsafe(self._queue.put(item), self._loop))
        self._calls.result()

    def tell(self, item: T) -> None:
        """Passes `item` on without waiting, for a stream that has room for everything. Raises: ClientGone."""
        if self._is_abandoned:
            raise ClientGone("the client has gone")
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    @property
    def backlog(self) -> int:
        """How much waits to be taken."""
        return self._queue.qsize()

    def abandon(self) -> None:
        """Makes the thread's present and later puts fail."""
        self._is_abandoned = True
        self._calls.abandon()


class Abandonable(Protocol):
    """What a thread waits for beside its outlet."""

    def abandon(self) -> None:
        """Makes the thread's present and later waits fail."""


async def produced_by(
    work: Callable[[Outlet[T]], None],
    source: Abandonable | None = None,
    threads: Executor | None = None,
    *,
    is_unbounded: bool = False,
) -> AsyncGenerator[T, None]:
    """What `work` puts into its outlet, in a thread, while it is asked for; `source` is what it reads from.

    The thread is one of `threads`, or of those that all of the engine shares. `is_unbounded`: there is room for all
    that it may `tell`.

    Raises: what `work` raises.
    """
    queue: asyncio.Queue[T | None] = asyncio.Queue(0 if is_unbounded else _WAITING)
    outlet = Outlet(queue)
    thread = asyncio.get_running_loop().run_in_executor(threads, work, outlet)
    thread.add_done_callback(lambda _: queue.put_nowait(None) if not queue.full() else None)
    try:
        while True:
            if thread.done() and queue.empty():
                break
            item = await queue.get()
            if item is not None:
                yield item
        thread.result()
    finally:
        outlet.abandon()
        if source is not None:
            source.abandon()
        await asyncio.wait((thread,))
        if not thread.cancelled():
            thread.exception()  # seen here: what fails after the awaiting side has left is nobody's


class PieceWriter(io.RawIOBase):
    """A file for a thread to write to, whose contents come out of `outlet` in pieces of some size."""

    def __init__(self, outlet: Outlet[bytes]) -> None:
        self._outlet = outlet
        self._waiting = bytearray()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Takes all of `data`. Raises: ClientGone."""
        self._waiting += data
        if len(self._waiting) >= PIECE_BYTES:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Passes on what has been written. Raises: ClientGone."""
        if self._waiting and not self.closed:
            piece, self._waiting = bytes(self._waiting), bytearray()
            self._outlet.put(piece)
