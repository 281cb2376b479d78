"""Pax extended headers: the records, and what they change in an entry.

Pure. Sources: POSIX pax(1) §pax Extended Header; GNU tar manual §Storing Sparse Files in PAX formats;
star(5) for SCHILY.xattr.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shoal.errors import InvalidArgument
from shoal.image.tar.header import TarEntry

_XATTR = b"SCHILY.xattr."
_SPARSE_PARTS_MAX = 1 << 20


def parse_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The (key, value) records of an extended header's data, in their order.

    Raises: InvalidArgument for a record whose length is wrong.
    """
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 21)
        digits = data[position:space]
        if space < 0 or not digits.isdigit():
            if not data[position:].strip(b"\0"):
                return  # some writers pad with zeros inside the stated size
            raise InvalidArgument("invalid pax header", why="a record has no length")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A or not equals or not key:
            raise InvalidArgument("invalid pax header", why="a record does not end where its length says")
        yield key, value
        position = end


def format_records(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The extended header data for `records`: `LENGTH key=value\\n` each, the length counting itself."""
    out = []
    for key, value in records:
        body = len(key) + len(value) + 3
        length = body + len(str(body))
        if len(str(length)) > len(str(body)):
            length = body + len(str(length))
        out.append(b"%d %s=%s\n" % (length, key, value))
    return b"".join(out)


def apply_records(entry: TarEntry, records: Iterable[tuple[bytes, bytes]]) -> SparseForm | None:
    """What sparse form the records announce, if any; every other known record is written into `entry`.

    Unknown keywords are ignored, as POSIX asks.
    Raises: InvalidArgument for a value that isn't the number it should be.
    """
    sparse: SparseForm | None = None
    for key, value in records:
        if key.startswith(b"GNU.sparse."):
            sparse = sparse or SparseForm()
            sparse.take(key[11:], value)
        else:
            _apply(entry, key, value)
    if sparse is not None and sparse.name:
        entry.name = sparse.name
    return sparse


def _apply(entry: TarEntry, key: bytes, value: bytes) -> None:
    match key:
        case b"path":
            entry.name = _text(value)
        case b"linkpath":
            entry.linkname = _text(value)
        case b"size":
            entry.size = entry.stored_size = _natural(value)
        case b"uid":
            entry.uid = _natural(value)
        case b"gid":
            entry.gid = _natural(value)
        case b"mtime":
            entry.mtime_ns = parse_time(value)
        case b"uname":
            entry.uname = value
        case b"gname":
            entry.gname = value
        case b"SCHILY.devmajor":
            entry.major = _natural(value)
        case b"SCHILY.devminor":
            entry.minor = _natural(value)
        case _ if key.startswith(_XATTR):
            if entry.xattrs is None:
                entry.xattrs = {}
            entry.xattrs[key[len(_XATTR) :]] = value


class SparseForm:
    """The sparse map as the three pax forms (0.0, 0.1, 1.0) give it."""

    __slots__ = ("map_in_data", "name", "parts", "real_size")

    def __init__(self) -> None:
        self.name = b""
        self.real_size = 0
        self.map_in_data = False
        self.parts: list[int] = []

    def take(self, key: bytes, value: bytes) -> None:
        """Note one `GNU.sparse.*` record."""
        if key == b"name":
            self.name = _text(value)
        elif key in (b"size", b"realsize"):
            self.real_size = _natural(value)
        elif key == b"major":
            self.map_in_data = _natural(value) >= 1
        elif key in (b"offset", b"numbytes"):
            self.parts.append(_natural(value))
        elif key == b"map":
            self.parts = [_natural(number) for number in value.split(b",") if number]

    def apply(self, entry: TarEntry) -> None:
        """Write the map into `entry`. Raises: InvalidArgument if it isn't ordered, or not inside the file."""
        set_sparse(entry, list(zip(self.parts[::2], self.parts[1::2], strict=False)), self.real_size)


def check_parts(count: int) -> int:
    """`count`, if a sparse file may have so many parts. Raises: InvalidArgument."""
    if count > _SPARSE_PARTS_MAX:
        raise InvalidArgument("invalid sparse file in tar", why=f"its map has more than {_SPARSE_PARTS_MAX} parts")
    return count


def set_sparse(entry: TarEntry, parts: list[tuple[int, int]], real_size: int) -> None:
    """Make `entry` a sparse file of `real_size` bytes that stores `parts`.

    Raises: InvalidArgument if the parts overlap, lie outside, or don't add up to what is stored.
    """
    end = 0
    for offset, length in parts:
        if offset < end or length < 0 or offset + length > real_size:
            raise InvalidArgument("invalid sparse file in tar", why="its map is not ordered, or not inside the file")
        end = offset + length
    if sum(length for _, length in parts) != entry.stored_size:
        raise InvalidArgument("invalid sparse file in tar", why="its map and its stored size differ")
    entry.sparse = parts
    entry.size = real_size


def parse_time(value: bytes) -> int:
    """Nanoseconds of a decimal time such as `1700000000.25` or `-1.5`; digits beyond the ninth are cut.

    Raises: InvalidArgument.
    """
    whole, _, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not digits.isdigit() or not (fraction or b"0").isdigit() or len(digits) > 20:
        raise InvalidArgument("invalid pax header", why=f"`{value!r}` is not a time")
    magnitude = int(digits) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return -magnitude if negative else magnitude


def format_time(time_ns: int) -> bytes:
    """The decimal text of `time_ns`, without trailing zeros."""
    seconds, fraction = divmod(abs(time_ns), 10**9)
    sign = "-" if time_ns < 0 else ""
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def _natural(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise InvalidArgument("invalid pax header", why=f"`{value!r}` is not a number")
    return int(value)


def _text(value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidArgument("invalid pax header", why="a name contains a zero byte")
    return value
