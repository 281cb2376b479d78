"""The pieces that streams are made of: first items, closing, error tables, queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shoal import errors
from shoal.errors import InvalidArgument, ShoalError, SyscallError
from shoal.server.errors import error_body, status_of
from shoal.server.query import Query
from shoal.server.streams import begun


class Source:
    """Items, then an error or an endless wait; knows whether it was closed."""

    def __init__(self, items: list[bytes], *, error: Exception | None = None, goes_on: bool = False) -> None:
        self.closed = False
        self._items = items
        self._error = error
        self._goes_on = goes_on

    async def items(self) -> AsyncIterator[bytes]:
        """The items."""
        try:
            for item in self._items:
                yield item
            if self._error:
                raise self._error
            if self._goes_on:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def collect(items: AsyncIterator[bytes]) -> list[bytes]:
    """Everything, as a list."""
    return [item async for item in items]


def test_begun_raises_at_once_what_the_first_item_raises() -> None:
    """A refusal comes before the stream is begun, and its source is closed."""

    async def play() -> None:
        source = Source([], error=InvalidArgument("no"))
        with pytest.raises(InvalidArgument, match="no"):
            await begun(source.items())
        assert source.closed
        assert await collect(await begun(Source([b"a", b"b"]).items())) == [b"a", b"b"]
        assert await collect(await begun(Source([]).items())) == []

    asyncio.run(play())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("InvalidArgument", 400),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("Conflict", 409),
        ("NotModified", 304),
        ("Unavailable", 503),
        ("Unsupported", 501),
        ("Internal", 500),
        ("ShoalError", 500),
    ],
)
def test_status_of_each_kind(kind: str, status: int) -> None:
    """Each kind of error has its status, and so has what refines it."""
    error_class = getattr(errors, kind)
    refined = type("Refined", (error_class,), {})
    assert status_of(error_class("x")) == status_of(refined("x")) == status


def test_error_body_has_message_and_hints() -> None:
    """The message is one sentence; why and fix stand beside it, where there are any."""
    assert error_body(ShoalError("a")) == b'{"message":"a"}\n'
    assert error_body(ShoalError("a", why="b", fix="c")) == b'{"message":"a: b","why":"b","fix":"c"}\n'
    assert status_of(SyscallError("mount", "/x", 13)) == 500


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", True), ("a=true", True), ("a=x", True), ("a=0", False), ("a=No", False), ("a=", False), ("b=1", False)],
)
def test_query_flag_is_read_as_docker_reads_it(text: str, value: bool) -> None:
    """Everything but the words for no is yes."""
    assert Query(text).flag("a") is value


def test_query_values_are_decoded_and_repeated() -> None:
    """Percent signs, plus signs and repetitions are understood; a flood of fields is refused."""
    query = Query("names=a%2Fb&names=c+d&t=%2B3")
    assert query.all("names") == ["a/b", "c d"]
    assert query.integer("t") == 3
    assert query.integer("none") is None
    with pytest.raises(InvalidArgument, match="invalid query"):
        Query("&".join(["a=1"] * 2000)).text("a")
    with pytest.raises(InvalidArgument, match='parsing "1'):
        Query("t=1.5").integer("t")
