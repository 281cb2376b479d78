"""One tar entry, and its 512-byte header block in both directions.

Pure. Sources: POSIX pax(1) §ustar Interchange Format, GNU tar manual §Basic Tar Format (base-256 numbers, old sparse
headers). Names are bytes, as the kernel has them.
"""

from __future__ import annotations

import struct
from zlib import adler32

from shoal.errors import InvalidArgument

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GNU_LONG_NAME, GNU_LONG_LINK, GNU_SPARSE = b"L", b"K", b"S"
PAX_LOCAL, PAX_GLOBAL = b"x", b"g"

_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_MAGIC_POSIX = b"ustar\x0000"
_MAGIC_GNU = b"ustar  \x00"
_NUL = b"\0"
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777


class TarEntry:
    """One member of an archive; its data, if any, follows in the stream.

    `size` is the file's length, `stored_size` the number of bytes in the archive: they differ for sparse files only,
    whose `sparse` lists (offset, length) of the parts that are stored. Times are nanoseconds since 1970.
    """

    __slots__ = (
        "gid",
        "gname",
        "kind",
        "linkname",
        "major",
        "minor",
        "mode",
        "mtime_ns",
        "name",
        "size",
        "sparse",
        "stored_size",
        "uid",
        "uname",
        "xattrs",
    )

    def __init__(
        self,
        name: bytes,
        kind: bytes = REGULAR,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_ns: int = 0,
        linkname: bytes = b"",
        uname: bytes = b"",
        gname: bytes = b"",
        major: int = 0,
        minor: int = 0,
        xattrs: dict[bytes, bytes] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.stored_size = size
        self.mtime_ns = mtime_ns
        self.linkname = linkname
        self.uname = uname
        self.gname = gname
        self.major = major
        self.minor = minor
        self.xattrs = xattrs
        self.sparse: list[tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"TarEntry({self.name!r}, kind={self.kind!r}, size={self.size})"


def parse_header(block: bytes) -> TarEntry:
    """The entry that the 512 bytes of `block` describe, before any extended header is applied.

    Raises: InvalidArgument for a wrong checksum or a field that isn't a number.
    """
    (name, mode, uid, gid, size, mtime, checksum, kind, linkname, magic, uname, gname, major, minor, prefix) = (
        _FIELDS.unpack(block)
    )
    try:
        stated = parse_number(checksum)
    except InvalidArgument:
        stated = -1  # no tar at all
    # adler32's lower half is one more than the bytes' sum modulo 65521, for a tenth of the time of `sum`.
    likely = ((adler32(block) & 0xFFFF) - 1 - sum(checksum) + 256 - stated) % 65521 == 0
    if not likely and _signed_checksum(block) != stated:
        raise InvalidArgument("invalid tar header", why="wrong checksum")
    entry = TarEntry(name.partition(b"\0")[0], kind, linkname=linkname.partition(b"\0")[0] if linkname[0] else b"")
    try:  # plain octal digits, as nearly always
        entry.mode, entry.uid, entry.gid = int(mode.rstrip(_NUL), 8), int(uid.rstrip(_NUL), 8), int(gid.rstrip(_NUL), 8)
        entry.size, entry.mtime_ns = int(size.rstrip(_NUL), 8), int(mtime.rstrip(_NUL), 8) * 10**9
    except ValueError:
        entry.mode, entry.uid, entry.gid = parse_number(mode), parse_number(uid), parse_number(gid)
        entry.size, entry.mtime_ns = parse_number(size), parse_number(mtime) * 10**9
    entry.stored_size = entry.size
    if magic[:5] == b"ustar":
        entry.uname, entry.gname = uname.partition(_NUL)[0], gname.partition(_NUL)[0]
        if kind in b"34":
            entry.major, entry.minor = parse_number(major), parse_number(minor)
        # In GNU's own format the place of the prefix holds times and the sparse map.
        if magic != _MAGIC_GNU and prefix[0]:
            entry.name = prefix.partition(b"\0")[0] + b"/" + entry.name
    if entry.size < 0:
        raise InvalidArgument("invalid tar header", why="negative size")
    if kind in b"\x007":
        # Before POSIX, a directory was a file whose name ends in a slash.
        entry.kind = DIRECTORY if kind == b"\0" and entry.name.endswith(b"/") else REGULAR
    return entry


def parse_number(field: bytes) -> int:
    """The value of a numeric field: octal digits, or GNU's base-256 (first bit set, then two's complement).

    Raises: InvalidArgument.
    """
    if field[0] & 0x80:
        number = int.from_bytes(field, "big")
        if field[0] & 0x40:
            return number - (1 << 8 * len(field))
        return number & ((1 << (8 * len(field) - 1)) - 1)
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        return int(digits.partition(b"\0")[0], 8)
    except ValueError:
        raise InvalidArgument("invalid tar header", why="a field that is not an octal number") from None


def build_header(entry: TarEntry) -> bytes | None:
    """The ustar header block of `entry`, or None if something in it doesn't fit and needs a pax header."""
    prefix, name = split_name(entry.name)
    seconds, fraction = divmod(entry.mtime_ns, 10**9)
    fits = (
        name is not None
        and len(entry.linkname) <= 100
        and 0 <= entry.uid <= _OCTAL_7
        and 0 <= entry.gid <= _OCTAL_7
        and entry.stored_size <= _OCTAL_11
        and 0 <= seconds <= _OCTAL_11
        and not fraction
        and not entry.xattrs
        and len(entry.uname) < 32
        and len(entry.gname) < 32
    )
    return pack_header(entry, prefix, name) if fits and name is not None else None


def pack_header(entry: TarEntry, prefix: bytes, name: bytes) -> bytes:
    """A header block whose too big numbers are written as 0 and too long names are cut: a pax header overrides them."""
    seconds = entry.mtime_ns // 10**9
    device = entry.kind in b"34"
    block = _FIELDS.pack(
        name[:100],
        b"%07o\0" % (entry.mode & 0o7777),
        b"%07o\0" % (entry.uid if 0 <= entry.uid <= _OCTAL_7 else 0),
        b"%07o\0" % (entry.gid if 0 <= entry.gid <= _OCTAL_7 else 0),
        b"%011o\0" % (entry.stored_size if entry.stored_size <= _OCTAL_11 else 0),
        b"%011o\0" % (seconds if 0 <= seconds <= _OCTAL_11 else 0),
        b"        ",
        entry.kind,
        entry.linkname[:100],
        _MAGIC_POSIX,
        entry.uname[:31],
        entry.gname[:31],
        b"%07o\0" % entry.major if device else b"",
        b"%07o\0" % entry.minor if device else b"",
        prefix,
    )
    return _with_checksum(block)


def _with_checksum(block: bytes) -> bytes:
    """The block, whose place for the checksum has spaces, with it."""
    # adler32's lower half is one more than the bytes' sum, which stays below its modulus here, for a tenth of the time.
    checksum = (adler32(block) & 0xFFFF) - 1 if block.isascii() else sum(block)
    return block[:148] + b"%06o\0 " % checksum + block[156:]


class FileHeaders:
    """The header blocks of many files that are as `model` but for their names and sizes, for a third of the time."""

    def __init__(self, model: TarEntry) -> None:
        block = build_header(model)
        self._parts = (block[100:124], block[136:148] + b" " * 8 + block[156:]) if block is not None else None

    def block(self, name: bytes, size: int) -> bytes | None:
        """That of the file `name`; None where it needs a pax header, or its name a prefix."""
        if self._parts is None or len(name) > 100 or size > _OCTAL_11:
            return None
        before, behind = self._parts
        return _with_checksum(b"%s%s%011o\0%s" % (name.ljust(100, _NUL), before, size, behind))


def split_name(name: bytes) -> tuple[bytes, bytes | None]:
    """`name` as (prefix, name) of a ustar header; the name is None if no such split exists."""
    if len(name) <= 100:
        return b"", name
    if len(name) > 256:
        return b"", None
    # The split must be at a slash, leave at most 155 bytes before it and 1 to 100 after.
    slash = name.find(b"/", len(name) - 101, min(156, len(name) - 1))
    return (name[:slash], name[slash + 1 :]) if slash > 0 else (b"", None)


def _signed_checksum(block: bytes) -> int:
    """The checksum as some old tars computed it: over signed bytes."""
    outside = block[:148] + b" " * 8 + block[156:]
    return sum(byte - 256 if byte > 127 else byte for byte in outside)
