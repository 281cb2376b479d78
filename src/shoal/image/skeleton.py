"""The skeleton of a layer: all of its tar stream but the file data, from which the exact archive is rebuilt.

A layer is kept unpacked. Its archive must come back bit for bit, because its digest is part of the image's id, and
keeping the archive too would double the disk it costs. So beside the unpacked tree lies the skeleton, zstd-compressed:

    b"R" u32 length, bytes      copy these bytes (headers, padding, the end mark)
    b"F" u16 length, path, u64 size    copy the file of that path in the unpacked tree

A layer whose data is not in its tree as a whole (a path that occurs twice, a sparse file) can't be rebuilt
like that: its archive is kept instead (layer_notes.py).
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from shoal.errors import Internal
from shoal.image.tar.compression import decompressed, read_chunks, zstd_writer
from shoal.image.trees import open_directory

_RAW = struct.Struct("<cI")
_FILE = struct.Struct("<cHQ")
_PIECE = 1 << 20
_NOT_THE_LAYERS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))
_FLUSH_AT = 1 << 18


class DamagedLayer(Internal):
    """A layer's files, or its skeleton, no longer give its archive."""

    __slots__ = ()


class SkeletonWriter:
    """Notes the stream of a layer while it is unpacked: `raw` is a tap for TarReader, `file` follows stored data."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = zstd_writer(out)
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._records: list[bytes] = []
        self._size = 0
        self._is_whole = False

    def raw(self, data: bytes | memoryview) -> None:
        """Note bytes that are not in any unpacked file."""
        self._raw.append(bytes(data))
        self._raw_size += len(data)
        if self._raw_size >= _FLUSH_AT:
            self._end_raw()
            self._write()

    def file(self, path: bytes, size: int) -> None:
        """Note that `size` bytes follow in the stream, which are the file at `path`."""
        self._end_raw()
        self._records.append(_FILE.pack(b"F", len(path), size) + path)
        # Compressed for many files at once: each call lets go of the interpreter's lock, and takes it again.
        if self._size >= _FLUSH_AT:
            self._write()

    def go_on_whole(self, out: BinaryIO) -> None:
        """After `close`: write the bytes themselves to `out`, which compresses them; no file will be noted any more."""
        self._out = out
        self._is_whole = True

    def close(self) -> None:
        """Write what is left. The stream given to the constructor stays open."""
        self._end_raw()
        self._write()
        self._out.close()

    def _end_raw(self) -> None:
        if self._raw:
            if not self._is_whole:
                self._records.append(_RAW.pack(b"R", self._raw_size))
            self._records += self._raw
            self._size += self._raw_size
            self._raw, self._raw_size = [], 0

    def _write(self) -> None:
        self._out.write(b"".join(self._records))
        self._records, self._size = [], 0


def rebuild(skeleton: BinaryIO, tree: str) -> Iterator[bytes]:
    """The layer's tar stream, from its `skeleton` and its unpacked `tree`, in pieces, none of them small but the last.

    The caller compares the digest: a tree that was changed gives another stream.
    Raises while iterating: Internal if a file of the tree is missing or has another size.
    """
    waiting: list[bytes] = []
    size = 0
    for piece in _pieces(skeleton, tree):
        waiting.append(piece)
        size += len(piece)
        if size >= _FLUSH_AT:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _pieces(skeleton: BinaryIO, tree: str) -> Iterator[bytes]:
    source = _Exact(decompressed(read_chunks(skeleton)))
    files = _Files(tree)
    try:
        while kind := source.take(1):
            if kind == b"R":
                (length,) = struct.unpack("<I", source.take(4))
                yield source.take(length)
            else:
                path_length, size = struct.unpack("<HQ", source.take(10))
                yield from files.read(source.take(path_length), size)
    finally:
        files.close()


class _Files:
    """The files of a tree. The directory of the last one stays open: archives come directory by directory.

    The tree is the store's own and no longer changes; still no symlink is followed, at any component.
    """

    def __init__(self, tree: str) -> None:
        self._root_fd = open_directory(tree)
        self._parent = b""
        self._parent_fd = os.dup(self._root_fd)

    def close(self) -> None:
        """Let go of the directories."""
        os.close(self._parent_fd)
        os.close(self._root_fd)

    def read(self, path: bytes, size: int) -> Iterator[bytes]:
        """The `size` bytes of the file `path`. Raises while iterating: Internal."""
        parent, _, name = path.rpartition(b"/")
        left = size
        try:
            if parent != self._parent:
                self._enter(parent)
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._parent_fd)
            try:
                while left and (piece := os.read(fd, min(left, _PIECE))):
                    left -= len(piece)
                    yield piece
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno in _NOT_THE_LAYERS:
                raise
            raise DamagedLayer("damaged layer", why=f"{os.fsdecode(path)}: {os.strerror(error.errno or 0)}") from error
        if left:
            raise DamagedLayer("damaged layer", why=f"{os.fsdecode(path)} is shorter than it was")

    def _enter(self, path: bytes) -> None:
        """Make the directory `path` the open one. Raises: OSError."""
        fd = os.dup(self._root_fd)
        for part in path.split(b"/") if path else ():
            try:
                inner = open_directory(part, fd)
            finally:
                os.close(fd)
            fd = inner
        os.close(self._parent_fd)
        self._parent, self._parent_fd = path, fd


class _Exact:
    """Reads exact numbers of bytes from chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        """`count` bytes, or nothing at the end."""
        while len(self._buffer) - self._position < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                if self._position == len(self._buffer):
                    return b""
                raise DamagedLayer("damaged layer", why="its skeleton is cut off")
            self._buffer = self._buffer[self._position :] + chunk
            self._position = 0
        self._position += count
        return self._buffer[self._position - count : self._position]
