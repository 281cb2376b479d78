"""Compression is found out and undone, whatever the pieces."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import threading
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.image.tar.compression import compression_of, decompressed, prefetched, read_chunks, zstd_writer

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` cut into pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("name", COMPRESSORS)
@settings(max_examples=25)
@given(data=st.binary(max_size=3000), size=st.integers(1, 4000))
def test_decompressed_each_compression_gives_the_data(name: str, data: bytes, size: int) -> None:
    """Each compression is recognised and undone, also when its magic number arrives byte by byte."""
    packed = COMPRESSORS[name](b"tar " + data)
    assert compression_of(packed[:6]) == name
    assert b"".join(decompressed(pieces(packed, size))) == b"tar " + data


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_decompressed_several_members_are_joined(name: str) -> None:
    """pigz, estargz and zstd:chunked write streams of several members: all of them count."""
    packed = COMPRESSORS[name](b"one") + COMPRESSORS[name](b"two" * 1000)
    assert b"".join(decompressed(pieces(packed, 7))) == b"one" + b"two" * 1000


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_decompressed_bomb_comes_in_bounded_pieces(name: str) -> None:
    """A stream that expands a thousandfold never makes a piece of more than a MiB."""
    packed = COMPRESSORS[name](bytes(50 << 20))
    sizes = [len(piece) for piece in decompressed(iter([packed]))]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= 1 << 20


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_decompressed_truncated_stream_is_unexpected_eof(name: str) -> None:
    """A stream that ends early is an error, not a short layer."""
    packed = COMPRESSORS[name](b"x" * 100_000)[:-6]
    with pytest.raises(InvalidArgument, match="unexpected EOF"):
        list(decompressed(iter([packed])))


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_decompressed_corrupt_stream_is_invalid(name: str) -> None:
    """A damaged stream is told by its checks."""
    packed = bytearray(COMPRESSORS[name](bytes(range(256)) * 400))
    packed[len(packed) // 2 : len(packed) // 2 + 20] = b"\xff" * 20
    with pytest.raises(InvalidArgument):
        list(decompressed(iter([bytes(packed)])))


def test_decompressed_zeros_after_gzip_are_padding() -> None:
    """GNU tar pads compressed archives with zeros."""
    assert b"".join(decompressed(iter([gzip.compress(b"abc") + bytes(1000)]))) == b"abc"


def test_zstd_writer_closed_leaves_the_stream_open() -> None:
    """What is written can be read back, and the caller's stream stays usable."""
    out = io.BytesIO()
    writer = zstd_writer(out)
    writer.write(b"hello")
    writer.close()
    assert not out.closed
    out.seek(0)
    assert b"".join(decompressed(read_chunks(out))) == b"hello"


def test_prefetched_error_arrives_at_its_place() -> None:
    """What the producer raises is raised to the consumer, after the pieces before it."""

    def failing() -> Iterator[bytes]:
        yield b"a"
        raise InvalidArgument("broken")

    ahead = prefetched(failing())
    assert next(ahead) == b"a"
    with pytest.raises(InvalidArgument, match="broken"):
        next(ahead)


def test_prefetched_closed_early_ends_its_thread() -> None:
    """A consumer that leaves takes the thread along, also while that waits for room."""
    before = threading.active_count()
    ahead = prefetched(iter([b"x"] * 1000))
    assert next(ahead) == b"x"
    ahead.close()
    assert threading.active_count() == before
