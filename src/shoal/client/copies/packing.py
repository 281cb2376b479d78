"""The user's files as a stream of tar, in constant memory."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator

from shoal.client.copies.places import Arrival, split_entry
from shoal.errors import InvalidArgument

_PIECE_BYTES = 256 * 1024
_BLOCK = 512
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def pack(source: str, arriving: Arrival) -> Iterator[bytes]:
    """A tar of the file or directory `source`, named as it arrives. Sockets are left out.

    Raises while iterating: InvalidArgument for what can't be read.
    """
    links: dict[tuple[int, int], str] = {}
    base = split_entry(source)[1]
    pending = [(source, base)]
    try:
        while pending:
            path, name = pending.pop()
            # A slash behind the source itself means what a link of that name leads to.
            entry = _entry(path, arriving.renamed(name), links)
            if entry is None:
                continue
            yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            if entry.isreg():
                yield from _content(path, entry.size)
            elif entry.isdir():
                children = sorted(os.listdir(path), reverse=True)
                pending.extend((os.path.join(path, child), f"{name.rstrip('/')}/{child}") for child in children)
    except OSError as error:
        raise InvalidArgument(f"can't read {error.filename or source}", why=error.strerror or str(error)) from None
    yield bytes(2 * _BLOCK)


def pack_tree(directory: str, leaves_out: Callable[[str, bool], bool], *, changed_s: int = 0) -> Iterator[bytes]:
    """A tar of what is in `directory`, names relative to it; without what `leaves_out` says of a name, and whether it
    is a directory: nothing in that one is looked at then. `changed_s` is added to every time.

    Raises while iterating: InvalidArgument for what can't be read.
    """
    links: dict[tuple[int, int], str] = {}
    pending = [(os.path.join(directory, name), name) for name in _names(directory)]
    try:
        while pending:
            path, name = pending.pop()
            entry = _entry(path, name, links)
            if entry is None or leaves_out(name, entry.isdir()):
                continue
            entry.mtime += changed_s
            yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            if entry.isreg():
                yield from _content(path, entry.size)
            elif entry.isdir():
                pending.extend((os.path.join(path, child), f"{name}/{child}") for child in _names(path))
    except OSError as error:
        raise InvalidArgument(f"can't read {error.filename or directory}", why=error.strerror or str(error)) from None
    yield bytes(2 * _BLOCK)


def pack_entries(directory: str, names: Iterable[str]) -> Iterator[bytes]:
    """A tar of these entries of `directory`, each by itself: a directory is an entry alone, no file a link to another.

    What has gone meanwhile is left out. Raises while iterating: InvalidArgument for what can't be read.
    """
    try:
        for name in names:
            path = os.path.join(directory, name)
            with contextlib.suppress(FileNotFoundError):
                entry = _entry(path, name, {})
                if entry is not None:
                    yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
                    if entry.isreg():
                        yield from _content(path, entry.size)
    except OSError as error:
        raise InvalidArgument(f"can't read {error.filename or directory}", why=error.strerror or str(error)) from None
    yield bytes(2 * _BLOCK)


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth sending: each costs whoever receives it as much as many bytes do."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def pack_file(name: str, content: bytes) -> bytes:
    """The part of a tar that is a file of this content."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry.tobuf() + content + bytes(-len(content) % _BLOCK)


def _names(directory: str) -> list[str]:
    return sorted(os.listdir(directory), reverse=True)


def _entry(path: str, name: str, links: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    status = os.lstat(path)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid, entry.mtime = status.st_uid, status.st_gid, status.st_mtime
    if kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(path)
    elif kind == tarfile.REGTYPE:
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and identity in links:
            entry.type, entry.linkname = tarfile.LNKTYPE, links[identity]
        else:
            links[identity] = name
            entry.size = status.st_size
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return entry


def _content(path: str, size: int) -> Iterator[bytes]:
    """`size` bytes of a file, zeros where it has become shorter, and the padding to a block."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left:
            piece = file.read(min(left, _PIECE_BYTES)) or bytes(min(left, _PIECE_BYTES))
            left -= len(piece)
            yield piece
    if size % _BLOCK:
        yield bytes(-size % _BLOCK)
