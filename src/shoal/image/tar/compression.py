"""Compression of layers and archives: found out from the first bytes, undone as a stream.

gzip (isal), zstd (zstandard), and, as `docker import` takes them, bzip2 and xz. Memory stays bounded whatever a stream
expands to: at most `_PIECE` bytes leave a decompressor at a time. The only importer of isal and zstandard.
"""

from __future__ import annotations

import bz2
import lzma
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import IO, BinaryIO, Protocol, cast

import zstandard
from isal import isal_zlib

from shoal.errors import InvalidArgument

_PIECE = 1 << 18
_XZ_MEMORY_MAX = 256 << 20
_ZSTD_WINDOW_MAX = 128 << 20
_QUEUE_DEPTH = 4
_GZIP_LEVEL = 2
_CORRUPT: tuple[type[Exception], ...] = (
    cast(type[Exception], isal_zlib.error),
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
)


class _Decompressor(Protocol):
    """What zlib's, bz2's and lzma's decompressor objects share, as this module uses them."""

    def feed(self, data: bytes) -> bytes: ...
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def read_chunks(stream: BinaryIO, size: int = _PIECE) -> Iterator[bytes]:
    """What `stream` holds, in pieces of at most `size` bytes."""
    while chunk := stream.read(size):
        yield chunk


def compression_of(head: bytes) -> str:
    """The compression that the first bytes of a stream tell: `gzip`, `zstd`, `bzip2`, `xz`, or `` for none."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    if head.startswith(b"BZh"):
        return "bzip2"
    return "xz" if head.startswith(b"\xfd7zXZ\x00") else ""


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The plain content of `chunks`, whatever compression it has.

    Raises while iterating: InvalidArgument for corrupt or truncated data.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break
    whole = _chain(head, chunks)
    match compression_of(head):
        case "gzip":
            return _inflated(whole, lambda: _Zlib(), "gzip")
        case "bzip2":
            return _inflated(whole, lambda: _Buffered(bz2.BZ2Decompressor()), "bzip2")
        case "xz":
            return _inflated(whole, lambda: _Buffered(lzma.LZMADecompressor(memlimit=_XZ_MEMORY_MAX)), "xz")
        case "zstd":
            return _zstd(whole)
    return whole


def prefetched(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same chunks, produced by a thread ahead of the consumer: inflating and hashing overlap with system calls.

    An error of the producer is raised at its place in the stream. Closing the generator ends the thread.
    """
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUE_DEPTH)
    stopped = threading.Event()

    def put(item: bytes | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue  # the consumer is slow, or gone: then `stopped` is set
        return False

    def produce() -> None:
        try:
            for chunk in chunks:
                if not put(chunk):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - the thread's edge: re-raised by the consumer
            put(error)

    thread = threading.Thread(target=produce, name="shoal-inflate", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` as one gzip member; equal content gives equal bytes, since no time and no name is in it."""
    compressor = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=31)
    for chunk in chunks:
        piece = compressor.compress(chunk)
        if piece:
            yield bytes(piece)
    yield bytes(compressor.flush())


def zstd_writer(stream: BinaryIO) -> BinaryIO:
    """A stream that compresses what is written to it into `stream`; closing it ends the frame, `stream` stays open."""
    return zstandard.ZstdCompressor(level=1).stream_writer(stream, closefd=False)


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX)
    # The reader does not tell a cut frame from a whole one; the tar inside, or the digest, then does.
    with decompressor.stream_reader(cast(IO[bytes], _ChunkFile(chunks)), read_across_frames=True) as reader:
        try:
            while piece := reader.read(_PIECE):
                yield piece
        except zstandard.ZstdError as error:
            raise InvalidArgument("invalid zstd stream", why=str(error)) from None


class _ChunkFile:
    """Chunks as the file object that the zstd reader wants."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Zlib:
    """A gzip member."""

    def __init__(self) -> None:
        self._inner = isal_zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._inner.decompress(self._inner.unconsumed_tail + data, _PIECE))

    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)


class _Buffered:
    """A bzip2 stream or an xz stream."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data, _PIECE)

    def needs_input(self) -> bool:
        return self._inner.needs_input

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _inflated(chunks: Iterator[bytes], start: Callable[[], _Decompressor], name: str) -> Iterator[bytes]:
    """What the members of a gzip, bzip2 or xz stream hold, one after the other."""
    member: _Decompressor | None = None
    for chunk in chunks:
        data = chunk
        pending = False  # more output than one piece
        while data or pending:
            if member is None:
                if not data.strip(b"\0"):
                    break  # zero padding after the last member
                member = start()
            try:
                piece = member.feed(data)
            except _CORRUPT as error:
                raise InvalidArgument(f"invalid {name} stream", why=str(error)) from None
            if piece:
                yield piece
            data, pending = b"", len(piece) == _PIECE or not member.needs_input()
            if member.eof:
                data, pending, member = member.unused_data, False, None
    if member is not None:
        raise InvalidArgument("unexpected EOF", why=f"the {name} stream is truncated")


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest
