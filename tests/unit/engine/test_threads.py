"""Streams between threads and the event loop."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from shoal.engine.threads import PIECE_BYTES, BodyReader, ClientGone, Outlet, PieceWriter, produced_by
from shoal.errors import InvalidArgument


async def _body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def test_body_reader_pieces_are_one_file() -> None:
    """A thread reads a body to its end as if it were a file."""

    async def read() -> bytes:
        source = io.BufferedReader(BodyReader(_body(b"ab", b"", b"c" * 300_000, *[b"d" * 500_000] * 5)), PIECE_BYTES)
        return await asyncio.to_thread(source.read)

    assert asyncio.run(read()) == b"ab" + b"c" * 300_000 + b"d" * 2_500_000


def test_body_reader_receives_while_the_thread_works() -> None:
    """The next pieces are asked for before the thread asks for them."""

    async def read() -> bool:
        asked = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield bytes(1 << 20)  # as much as is taken at a time
            asked.set()
            yield b"second"

        await asyncio.to_thread(BodyReader(body()).readinto, bytearray(10))
        async with asyncio.timeout(10):
            return await asked.wait()

    assert asyncio.run(read())


def test_body_reader_abandoned_ends_the_thread() -> None:
    """A thread that waits for a client that has gone is told so."""

    async def read() -> BaseException | None:
        asked = asyncio.Event()

        async def never() -> AsyncIterator[bytes]:
            asked.set()
            await asyncio.Event().wait()
            yield b""

        source = BodyReader(never())
        reading = asyncio.create_task(asyncio.to_thread(source.readinto, bytearray(10)))
        await asked.wait()
        source.abandon()
        await asyncio.wait([reading])
        return reading.exception()

    assert isinstance(asyncio.run(read()), ClientGone)


def test_produced_by_all_items_come_in_order() -> None:
    """More items than fit into the queue arrive, in order."""

    def work(outlet: Outlet[int]) -> None:
        for number in range(100):
            outlet.put(number)

    async def collect() -> list[int]:
        return [number async for number in produced_by(work)]

    assert asyncio.run(collect()) == list(range(100))


def test_produced_by_failure_is_raised_behind_the_items() -> None:
    """What the thread raises reaches whoever iterates, after what was produced."""

    def work(outlet: Outlet[int]) -> None:
        outlet.put(1)
        raise InvalidArgument("no more")

    seen: list[int] = []

    async def collect() -> None:
        async for number in produced_by(work):
            seen.append(number)

    with pytest.raises(InvalidArgument) as caught:
        asyncio.run(collect())
    assert (seen, caught.value.what) == ([1], "no more")


def test_produced_by_left_early_ends_the_thread() -> None:
    """When the client leaves, the thread is not left waiting."""
    left = threading.Event()

    def work(outlet: Outlet[int]) -> None:
        try:
            while True:
                outlet.put(0)
        except ClientGone:
            left.set()
            raise

    async def take_one() -> None:
        async with aclosing(produced_by(work)) as items:
            async for _ in items:
                break

    asyncio.run(take_one())
    assert left.wait(5)


def test_piece_writer_many_small_writes_are_few_pieces() -> None:
    """Small writes are gathered, nothing is lost."""

    def work(outlet: Outlet[bytes]) -> None:
        writer = PieceWriter(outlet)
        for _ in range(10_000):
            writer.write(b"x" * 100)
        writer.flush()

    async def collect() -> list[bytes]:
        return [piece async for piece in produced_by(work)]

    pieces = asyncio.run(collect())
    assert sum(map(len, pieces)) == 1_000_000
    assert len(pieces) <= 1_000_000 // PIECE_BYTES + 1


def test_produced_by_without_bounds_never_waits_for_who_listens() -> None:
    """The thread tells all and ends before the first item is taken; each comes, in order."""

    async def listen() -> list[int]:
        ended = threading.Event()

        def work(outlet: Outlet[int]) -> None:
            for number in range(500):
                outlet.tell(number)
            ended.set()

        taken = []
        async with aclosing(produced_by(work, is_unbounded=True)) as items:
            async for item in items:
                assert await asyncio.to_thread(ended.wait, 10)
                taken.append(item)
        return taken

    assert asyncio.run(listen()) == list(range(500))


def test_tell_raises_when_nobody_listens_any_more() -> None:
    """The thread learns that its client has gone, though it never waits."""

    async def leave() -> None:
        failed = threading.Event()

        def work(outlet: Outlet[int]) -> None:
            try:
                while True:
                    outlet.tell(1)
            except ClientGone:
                failed.set()
                raise

        async with aclosing(produced_by(work, is_unbounded=True)) as items:
            await anext(items)
        assert failed.is_set()

    asyncio.run(leave())
