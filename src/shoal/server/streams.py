"""Answers that go on: JSON messages one by one, logs, raw bytes.

A stream is flushed per message. Log entries come in blocks and travel so, since a write for each line of a long log
costs far more than the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast
from urllib.parse import quote_plus

from shoal.api.log import LogEntry
from shoal.api.options import LogOptions
from shoal.api.progress import JSONMessage
from shoal.api.stdcopy import frame_header
from shoal.api.timestamps import format_fixed
from shoal.api.version import V1_42, ApiVersion
from shoal.api.wire import encode
from shoal.errors import ShoalError
from shoal.server.messages import JSON

RAW_STREAM = b"application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = b"application/vnd.docker.multiplexed-stream"

_JSON_SEQ = b"application/json-seq"
_NDJSON = (b"application/x-ndjson", b"application/jsonl", b"application/ndjson")

T = TypeVar("T")


def stream_type(*, mux: bool, version: ApiVersion) -> bytes:
    """The content type of a stream of output; before API 1.42 a framed one did not say so."""
    return MULTIPLEXED_STREAM if mux and version >= V1_42 else RAW_STREAM


def json_stream_type(accept: bytes) -> tuple[bytes, bytes]:
    """The content type for a stream of JSON messages that a client accepts, and what goes before each message."""
    wanted = [part.partition(b";")[0].strip().lower() for part in accept.split(b",")]
    for content_type in wanted:
        if content_type == _JSON_SEQ:
            return _JSON_SEQ, b"\x1e"  # RFC 7464: a record separator first
        if content_type in _NDJSON:
            return content_type, b""
    return JSON, b""


async def as_json(messages: AsyncIterator[object], prefix: bytes = b"") -> AsyncIterator[bytes]:
    """One line of JSON for each message. An error ends the stream as its last message, as Docker does."""
    async with closing(messages):
        try:
            async for message in messages:
                yield prefix + encode(message) + b"\n"
        except ShoalError as error:
            yield prefix + encode(JSONMessage.failure(str(error))) + b"\n"


class SingleJSON:
    """One JSON text, when it is there: the head of the answer has gone out long before.

    Waits from the beginning; closing it cancels the wait, whether anybody began to read or not. `refusal` makes the
    JSON of an error, for which the status line comes too late.
    """

    __slots__ = ("_future", "_is_read", "_refusal")

    def __init__(self, result: Awaitable[object], refusal: Callable[[ShoalError], object]) -> None:
        self._future = asyncio.ensure_future(result)
        self._refusal = refusal
        self._is_read = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_read:
            raise StopAsyncIteration
        self._is_read = True
        try:
            result = await self._future
        except ShoalError as error:
            result = self._refusal(error)
        return encode(result) + b"\n"

    async def aclose(self) -> None:
        """Wait no longer."""
        self._future.cancel()


async def begun(items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same items, after the first one was had: what is refused is refused before the status line goes out."""
    try:
        first = await anext(items)
    except StopAsyncIteration:
        return _rest(items)
    except BaseException:
        await _close(items)
        raise
    return _rest(items, first)


async def _rest(items: AsyncIterator[T], *first: T) -> AsyncIterator[T]:
    async with closing(items):
        for item in first:
            yield item
        async for item in items:
            yield item


def closing(items: AsyncIterator[Any]) -> aclosing[Any]:
    """A context that closes an iterator at its end, where it can be closed."""
    return aclosing(_Closable(items))


class _Closable:
    __slots__ = ("_items",)

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    async def aclose(self) -> None:
        await _close(self._items)


async def _close(items: AsyncIterator[Any]) -> None:
    close = cast("Callable[[], Awaitable[None]] | None", getattr(items, "aclose", None))
    if close is not None:
        await close()


async def log_bytes(
    blocks: AsyncIterator[Sequence[LogEntry]], options: LogOptions, *, mux: bool
) -> AsyncIterator[bytes]:
    """A log as `docker logs` reads it: framed unless it is a terminal's, with times and attributes if asked for."""
    wanted = {1: options.stdout, 2: options.stderr}
    is_plain = not (options.details or options.timestamps)
    async with closing(blocks):
        async for entries in blocks:
            pieces: list[bytes] = []
            for entry in entries:
                if wanted.get(entry.stream, True):
                    line = entry.data if is_plain else _log_line(entry, options)
                    if mux:
                        pieces.append(frame_header(entry.stream, len(line)))
                    pieces.append(line)
            if pieces:
                yield b"".join(pieces)


def _log_line(entry: LogEntry, options: LogOptions) -> bytes:
    line = entry.data
    if options.details:
        pairs = ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(entry.attributes.items()))
        line = pairs.encode() + b" " + line
    if options.timestamps:
        line = format_fixed(entry.time_ns).encode() + b" " + line
    return line
