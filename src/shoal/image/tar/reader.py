"""A streaming tar reader: entries in archive order, each one's data read before the next.

Reads ustar, v7, GNU (long names, base-256 numbers, old sparse files) and pax (with SCHILY.xattr.* and the sparse forms
0.0, 0.1, 1.0). Every byte of the stream is accounted for: what isn't file data goes to the `tap`, so that a caller
can keep the exact archive without keeping the data twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from shoal.errors import InvalidArgument
from shoal.image.tar.header import (
    BLOCK,
    DIRECTORY,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    PAX_GLOBAL,
    PAX_LOCAL,
    REGULAR,
    TarEntry,
    parse_header,
    parse_number,
)
from shoal.image.tar.pax import apply_records, check_parts, parse_records, set_sparse

_EXTENDED_MAX = 1 << 20  # of one long name or extended header
_EXTENDED_SUM_MAX = 8 << 20  # of all that belong to one entry
_GLOBAL_RECORDS_MAX = 256  # they are applied to every entry
_HOLE_BYTES = 1 << 16
_ZEROS = bytes(1 << 18)
_ZERO_BLOCK = bytes(BLOCK)
_NO_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))

Tap = Callable[[bytes | memoryview], None]


class TarReader:
    """Iterates over the entries of the archive in `chunks` (byte strings of any length).

    After an entry is yielded, `data()` or `copy_data()` may be called once; data left unread is skipped (and tapped).
    Raises while iterating: InvalidArgument for a malformed or truncated archive.
    """

    def __init__(self, chunks: Iterator[bytes], *, tap: Tap | None = None) -> None:
        self._chunks = chunks
        self._tap = tap
        self._buffer = b""
        self._position = 0
        self._remaining = 0  # of the current entry's data
        self._padding = 0
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[TarEntry]:
        while True:
            self._finish_data()
            entry = self._next_entry()
            if entry is None:
                return
            yield entry

    def data(self) -> Iterator[memoryview]:
        """The stored bytes of the current entry, in pieces; a piece is valid until the next is asked for."""
        while self._remaining:
            if self._position == len(self._buffer):
                self._buffer, self._position = self._next_chunk(), 0
            end = min(self._position + self._remaining, len(self._buffer))
            piece = memoryview(self._buffer)[self._position : end]
            self._remaining -= end - self._position
            self._position = end
            yield piece

    def copy_data(self, fd: int) -> None:
        """Write the current entry's stored bytes to the new file `fd`, long runs of zeros as holes. Raises: OSError."""
        end = self._position + self._remaining
        if end <= len(self._buffer) and self._remaining < _HOLE_BYTES:  # as nearly always: small, and in the buffer
            piece = memoryview(self._buffer)[self._position : end]
            self._position, self._remaining = end, 0
            write_all(fd, piece)
            return
        is_hole = False
        for chunk in self.data():
            for begin in range(0, len(chunk), len(_ZEROS)):
                piece = chunk[begin : begin + len(_ZEROS)]
                is_hole = _is_zeros(piece)
                if is_hole:
                    os.lseek(fd, len(piece), os.SEEK_CUR)
                else:
                    write_all(fd, piece)
        if is_hole:
            os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))

    def copy_sparse(self, entry: TarEntry, fd: int) -> None:
        """Write the stored parts of the current entry, a sparse file, to their places in `fd`. Raises: OSError."""
        os.ftruncate(fd, entry.size)
        parts = iter(entry.sparse or ())
        left = 0
        for chunk in self.data():
            piece = chunk
            while piece:
                if not left:
                    offset, left = next(parts)
                    os.lseek(fd, offset, os.SEEK_SET)
                    continue
                write_all(fd, piece[:left])
                left, piece = max(0, left - len(piece)), piece[left:]

    def drain(self) -> None:
        """Read (and tap) whatever follows the archive's end: padding to a record, as a rule."""
        self._finish_data()
        while True:
            rest = self._buffer[self._position :]
            if rest and self._tap is not None:
                self._tap(rest)
            self._position = 0
            self._buffer = next(self._chunks, b"")
            if not self._buffer:
                return

    # -- headers ------------------------------------------------------------------------------------------------

    def _next_entry(self) -> TarEntry | None:
        """The next real entry, with the extended headers before it applied; None at the end."""
        name = link = None
        records: list[tuple[bytes, bytes]] = []
        extended = 0
        while True:
            block = self._take_block()
            if block is None or (block == _ZERO_BLOCK and not (name or link or records)):
                return None
            entry = parse_header(block)
            kind = entry.kind
            if kind in (GNU_LONG_NAME, GNU_LONG_LINK, PAX_LOCAL, b"X", PAX_GLOBAL):
                extended += entry.size
                if extended > _EXTENDED_SUM_MAX:
                    raise InvalidArgument("invalid tar header", why=f"extended headers of {extended} bytes")
                body = self._take_extended(entry.size)
                if kind == GNU_LONG_NAME:
                    name = body.partition(b"\0")[0]
                elif kind == GNU_LONG_LINK:
                    link = body.partition(b"\0")[0]
                elif kind == PAX_GLOBAL:
                    self._set_global(body)
                else:
                    records.extend(parse_records(body))
                continue
            if kind == b"V":  # GNU volume label: a header alone
                continue
            entry.name = name if name is not None else entry.name
            entry.linkname = link if link is not None else entry.linkname
            self._complete(entry, block, records)
            return entry

    def _set_global(self, body: bytes) -> None:
        self._global.update(parse_records(body))
        if len(self._global) > _GLOBAL_RECORDS_MAX:
            raise InvalidArgument("invalid tar header", why=f"more than {_GLOBAL_RECORDS_MAX} global records")

    def _complete(self, entry: TarEntry, block: bytes, records: list[tuple[bytes, bytes]]) -> None:
        """Apply pax records and sparse maps to `entry`, and set up the reading of its data."""
        kind = entry.kind
        sparse = apply_records(entry, [*self._global.items(), *records]) if records or self._global else None
        if kind == b"D":  # GNU incremental dump: a directory whose data lists names
            entry.kind = DIRECTORY
        elif kind in _NO_DATA:
            entry.size = entry.stored_size = 0
        elif kind not in (REGULAR, GNU_SPARSE):
            raise InvalidArgument("unsupported tar entry", why=f"`{os.fsdecode(entry.name)}` has type {kind!r}")
        stored = entry.stored_size
        self._remaining, self._padding = stored, -stored % BLOCK
        if kind == GNU_SPARSE:
            entry.kind = REGULAR
            set_sparse(entry, *self._old_sparse_map(block))
        elif sparse is not None and sparse.map_in_data:
            self._sparse_map_in_data(entry, sparse.real_size)
        elif sparse is not None:
            sparse.apply(entry)

    def _old_sparse_map(self, block: bytes) -> tuple[list[tuple[int, int]], int]:
        """The parts and the size of a GNU type-S file; further maps follow in blocks of their own."""
        parts = _sparse_structs(block, 386, 4)
        real_size, more = parse_number(block[483:495]), block[482]
        while more:
            extension = self._take_block()
            if extension is None:
                raise _truncated()
            parts += _sparse_structs(extension, 0, 21)
            check_parts(len(parts))
            more = extension[504]
        return parts, real_size

    def _sparse_map_in_data(self, entry: TarEntry, real_size: int) -> None:
        """Read the map of pax form 1.0: decimal lines at the start of the data, padded to a block."""
        numbers: list[int] = []
        wanted, rest = 1, b""
        while len(numbers) < wanted:
            block = self._take_block()
            if block is None or self._remaining < BLOCK:
                raise InvalidArgument("invalid sparse file in tar", why="its map is cut off")
            self._remaining -= BLOCK
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > BLOCK or not all(line.isdigit() and len(line) < 20 for line in lines if line.strip(b"\0")):
                raise InvalidArgument("invalid sparse file in tar", why="its map is not made of numbers")
            numbers += [int(line) for line in lines if line.strip(b"\0")]
            if numbers:
                wanted = 1 + 2 * check_parts(numbers[0])
        entry.stored_size = self._remaining
        count = numbers[0]
        set_sparse(entry, list(zip(numbers[1 : 2 * count : 2], numbers[2 : 2 * count + 1 : 2], strict=True)), real_size)

    # -- bytes --------------------------------------------------------------------------------------------------

    def _take_block(self) -> bytes | None:
        """The next 512 bytes (tapped), or None at the end of the stream."""
        end = self._position + BLOCK
        if end > len(self._buffer) and not self._fill(BLOCK):
            if self._position == len(self._buffer):
                return None
            raise _truncated()
        block = self._buffer[self._position : self._position + BLOCK]
        self._position += BLOCK
        if self._tap is not None:
            self._tap(block)
        return block

    def _take_extended(self, size: int) -> bytes:
        """The `size` bytes of an extended header's data, and its padding, tapped."""
        if size > _EXTENDED_MAX:
            raise InvalidArgument("invalid tar header", why=f"an extended header of {size} bytes")
        padded = size + -size % BLOCK
        if not self._fill(padded):
            raise _truncated()
        whole = self._buffer[self._position : self._position + padded]
        self._position += padded
        if self._tap is not None:
            self._tap(whole)
        return whole[:size]

    def _finish_data(self) -> None:
        """Skip what the caller left of the entry's data, and its padding; both are tapped."""
        for piece in self.data():
            if self._tap is not None:
                self._tap(piece)
        if self._padding:
            if not self._fill(self._padding):
                raise _truncated()
            if self._tap is not None:
                self._tap(self._buffer[self._position : self._position + self._padding])
            self._position += self._padding
            self._padding = 0

    def _fill(self, count: int) -> bool:
        """Whether `count` bytes are in the buffer now; reads chunks as needed."""
        missing = count - (len(self._buffer) - self._position)
        if missing <= 0:
            return True
        parts = [self._buffer[self._position :]]
        for chunk in self._chunks:
            parts.append(chunk)
            missing -= len(chunk)
            if missing <= 0:
                break
        self._buffer, self._position = b"".join(parts), 0
        return missing <= 0

    def _next_chunk(self) -> bytes:
        for chunk in self._chunks:
            if chunk:
                return chunk
        raise _truncated()


def _is_zeros(piece: memoryview) -> bool:
    """Whether it is nothing but zeros, and long enough to be left out."""
    return len(piece) >= _HOLE_BYTES and not piece[0] and bytes(piece) == _ZEROS[: len(piece)]


def write_all(fd: int, data: memoryview) -> None:
    """Write all of `data` to `fd`. Raises: OSError."""
    written = os.write(fd, data) if data else 0
    while written < len(data):
        written += os.write(fd, data[written:])


def _sparse_structs(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    """Up to `count` (offset, length) pairs from `start`; an empty one ends the list."""
    parts = []
    for position in range(start, start + 24 * count, 24):
        if not block[position]:
            break
        parts.append(
            (parse_number(block[position : position + 12]), parse_number(block[position + 12 : position + 24]))
        )
    return parts


def _truncated() -> InvalidArgument:
    return InvalidArgument("unexpected EOF", why="the tar archive is truncated")
