"""A streaming tar writer: ustar where it suffices, pax records for the rest.

Nothing is lost: names of any length and encoding, big numbers, nanosecond and negative times, xattrs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shoal.image.tar.header import BLOCK, PAX_LOCAL, TarEntry, build_header, pack_header, split_name
from shoal.image.tar.pax import format_records, format_time

_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_ZEROS = bytes(BLOCK)


class TarWriter:
    """Writes entries, and at last the end mark, through `write` (which must take all that it is given)."""

    def __init__(self, write: Callable[[bytes | memoryview], object]) -> None:
        self._write = write

    def add(self, entry: TarEntry, data: Iterable[bytes | memoryview] = ()) -> None:
        """Write `entry` and its `data`, which must be exactly `entry.size` bytes.

        Raises: ValueError if it isn't: the archive is then unusable.
        """
        self._write(encode_entry(entry))
        written = 0
        for piece in data:
            written += len(piece)
            self._write(piece)
        if written != entry.stored_size:
            raise ValueError(f"{entry.name!r}: {written} bytes of data, {entry.stored_size} announced")
        if written % BLOCK:
            self._write(_ZEROS[: -written % BLOCK])

    def close(self) -> None:
        """Write the end mark."""
        self._write(_ZEROS * 2)


def encode_entry(entry: TarEntry) -> bytes:
    """All header blocks of `entry`."""
    block = build_header(entry)
    if block is not None:
        return block
    body = format_records(_records(entry))
    base = entry.name.rstrip(b"/").rpartition(b"/")[2]
    extended = TarEntry(b"PaxHeaders.0/" + base[:80], PAX_LOCAL, size=len(body))
    prefix, name = split_name(entry.name)
    header = pack_header(entry, prefix, entry.name[:100] if name is None else name)
    return b"".join((pack_header(extended, b"", extended.name), body, _ZEROS[: -len(body) % BLOCK], header))


def _records(entry: TarEntry) -> list[tuple[bytes, bytes]]:
    """The pax records for what the plain header of `entry` can't hold."""
    records: list[tuple[bytes, bytes]] = []
    if not (_is_utf8(entry.name) and _is_utf8(entry.linkname)):
        records.append((b"hdrcharset", b"BINARY"))
    if split_name(entry.name)[1] is None:
        records.append((b"path", entry.name))
    if len(entry.linkname) > 100:
        records.append((b"linkpath", entry.linkname))
    if not 0 <= entry.uid <= _OCTAL_7:
        records.append((b"uid", b"%d" % entry.uid))
    if not 0 <= entry.gid <= _OCTAL_7:
        records.append((b"gid", b"%d" % entry.gid))
    if entry.stored_size > _OCTAL_11:
        records.append((b"size", b"%d" % entry.stored_size))
    if entry.mtime_ns % 10**9 or not 0 <= entry.mtime_ns // 10**9 <= _OCTAL_11:
        records.append((b"mtime", format_time(entry.mtime_ns)))
    if len(entry.uname) >= 32:
        records.append((b"uname", entry.uname))
    if len(entry.gname) >= 32:
        records.append((b"gname", entry.gname))
    records += [(b"SCHILY.xattr." + name, value) for name, value in sorted((entry.xattrs or {}).items())]
    return records


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
