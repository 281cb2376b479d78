# Derived from src/shoal/aio/streams.py by ./dev twins: change it there.
"""What comes piece by piece: items to iterate over, and the streams of a program."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from shoal.client.chunks import Decoder
from shoal.client.driver import converse, end_input
from shoal.client.http import Hijacked
from shoal.client.results import Chunk

_Item = TypeVar("_Item")


class Stream(Generic[_Item]):
    """Items as they come: iterate over it. Leaving its `with` block ends it early.

    Nothing is asked of the engine before the first item is.
    """

    def __init__(self, items: Generator[_Item]) -> None:
        self._items = items

    def __enter__(self) -> Stream[_Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Stream[_Item]:
        return self

    def __next__(self) -> _Item:
        return next(self._items)

    def close(self) -> None:
        """Ends it; the engine stops sending."""
        self._items.close()


class Attachment:
    """The streams of a running program: write to it, and iterate over the chunks that it writes.

    A context manager: leaving it lets go of the streams; the program goes on.
    """

    def __init__(self, hijacked: Hijacked, *, tty: bool) -> None:
        self._hijacked = hijacked
        self._decoder = Decoder(multiplexed=not tty)
        self._chunks: list[Chunk] = []

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes | str) -> None:
        """Sends to its standard input. Raises: BrokenPipeError when it takes no more."""
        self._hijacked.send(data.encode() if isinstance(data, str) else data)

    def end_input(self) -> None:
        """Ends its standard input; what it writes still comes."""
        end_input(self._hijacked.connection)

    def __iter__(self) -> Attachment:
        return self

    def __next__(self) -> Chunk:
        while not self._chunks:
            data = self._hijacked.receive()
            if not data:
                raise StopIteration
            self._chunks = self._decoder.feed(data)
        return self._chunks.pop(0)

    def converse(self, data: bytes | None, take: Callable[[Chunk], None]) -> None:
        """Hands every chunk to `take` until the program's end, and sends `data` meanwhile, then the input's end."""

        def decode(received: bytes) -> None:
            for chunk in self._decoder.feed(received):
                take(chunk)

        while self._hijacked.early:
            decode(self._hijacked.receive())
        converse(self._hijacked.connection, data, decode)

    def close(self) -> None:
        """Lets go of the streams."""
        self._hijacked.close()
