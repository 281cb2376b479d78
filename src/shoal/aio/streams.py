"""What comes piece by piece: items to iterate over, and the streams of a program."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from shoal.client.aio.driver import converse, end_input
from shoal.client.aio.http import Hijacked
from shoal.client.chunks import Decoder
from shoal.client.results import Chunk

_Item = TypeVar("_Item")


class Stream(Generic[_Item]):
    """Items as they come: iterate over it. Leaving its `async with` block ends it early.

    Nothing is asked of the engine before the first item is.
    """

    def __init__(self, items: AsyncGenerator[_Item]) -> None:
        self._items = items

    async def __aenter__(self) -> Stream[_Item]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Stream[_Item]:
        return self

    async def __anext__(self) -> _Item:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Ends it; the engine stops sending."""
        await self._items.aclose()


class Attachment:
    """The streams of a running program: write to it, and iterate over the chunks that it writes.

    A context manager: leaving it lets go of the streams; the program goes on.
    """

    def __init__(self, hijacked: Hijacked, *, tty: bool) -> None:
        self._hijacked = hijacked
        self._decoder = Decoder(multiplexed=not tty)
        self._chunks: list[Chunk] = []

    async def __aenter__(self) -> Attachment:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def write(self, data: bytes | str) -> None:
        """Sends to its standard input. Raises: BrokenPipeError when it takes no more."""
        await self._hijacked.send(data.encode() if isinstance(data, str) else data)

    async def end_input(self) -> None:
        """Ends its standard input; what it writes still comes."""
        await end_input(self._hijacked.connection)

    def __aiter__(self) -> Attachment:
        return self

    async def __anext__(self) -> Chunk:
        while not self._chunks:
            data = await self._hijacked.receive()
            if not data:
                raise StopAsyncIteration
            self._chunks = self._decoder.feed(data)
        return self._chunks.pop(0)

    async def converse(self, data: bytes | None, take: Callable[[Chunk], None]) -> None:
        """Hands every chunk to `take` until the program's end, and sends `data` meanwhile, then the input's end."""

        def decode(received: bytes) -> None:
            for chunk in self._decoder.feed(received):
                take(chunk)

        while self._hijacked.early:
            decode(await self._hijacked.receive())
        await converse(self._hijacked.connection, data, decode)

    def close(self) -> None:
        """Lets go of the streams."""
        self._hijacked.close()
