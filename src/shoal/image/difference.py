"""In what two images differ: their files, as containers would see them, and their configurations.

Nothing is mounted or unpacked. A directory that is made of the same layers' directories in both is the same as a whole,
so that only what the layers above the common ones touch is looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from shoal.image.merged import MergedView
from shoal.image.snapshot.diff import read_xattrs
from shoal.image.snapshot.protocol import ChangeKind
from shoal.oci.documents import decode_document, encode_document
from shoal.oci.image_spec import ImageConfig

_PIECE = 1 << 20
Found = tuple[bytes, os.stat_result]


class Difference(NamedTuple):
    """A path that differs. An added or deleted directory stands for all below it.

    `size_bytes` is what B has there more than A; `what` says in which respects an entry that both have differs.
    """

    path: str
    kind: ChangeKind
    size_bytes: int
    what: tuple[str, ...] = ()


class ConfigDifference(NamedTuple):
    """A field of the configuration that differs, with both values as they are."""

    field: str
    before: object
    after: object


def config_differences(before: ImageConfig, after: ImageConfig) -> list[ConfigDifference]:
    """What containers are told by default that differs, sorted."""
    old, new = (decode_document(encode_document(each), dict[str, object], "configuration") for each in (before, after))
    fields = sorted({*old, *new})
    return [ConfigDifference(name, old.get(name), new.get(name)) for name in fields if old.get(name) != new.get(name)]


def file_differences(before: Sequence[str], after: Sequence[str]) -> Iterator[Difference]:
    """The paths that differ between two stacks of layer trees, each the topmost first; parents first, names sorted.

    Raises: OSError.
    """
    old, new = MergedView(before), MergedView(after)
    pending = [b""]
    while pending:
        directory = pending.pop()
        if old.parts(directory) == new.parts(directory):
            continue
        inner: list[bytes] = []
        for name in sorted({*old.names(directory), *new.names(directory)}):
            path = directory + b"/" + name if directory else name
            yield from _compared(path, old, new, inner)
        pending += reversed(inner)


def _compared(path: bytes, old: MergedView, new: MergedView, inner: list[bytes]) -> Iterator[Difference]:
    """What differs at `path` itself; a directory in both is put into `inner`."""
    was, now = old.find(path), new.find(path)
    shown = "/" + os.fsdecode(path)
    if was is None or now is None:
        if now is not None:
            yield Difference(shown, ChangeKind.ADDED, _size(path, new, now))
        elif was is not None:
            yield Difference(shown, ChangeKind.DELETED, -_size(path, old, was))
        return
    if stat.S_ISDIR(was[1].st_mode) and stat.S_ISDIR(now[1].st_mode):
        inner.append(path)
    what = tuple(_respects(was, now)) if was[0] != now[0] else ()
    if what:
        yield Difference(shown, ChangeKind.MODIFIED, _size(path, new, now) - _size(path, old, was), what)


def _size(path: bytes, view: MergedView, found: Found) -> int:
    """The bytes of the files there; of a directory that both have they are told file by file."""
    if stat.S_ISREG(found[1].st_mode):
        return found[1].st_size
    total, pending = 0, [path] if stat.S_ISDIR(found[1].st_mode) else []
    while pending:
        directory = pending.pop()
        for name in view.names(directory):
            inside = view.find(directory + b"/" + name)
            if inside is not None and stat.S_ISREG(inside[1].st_mode):
                total += inside[1].st_size
            elif inside is not None and stat.S_ISDIR(inside[1].st_mode):
                pending.append(directory + b"/" + name)
    return total


def _respects(was: Found, now: Found) -> Iterator[str]:
    """In which respects two entries of one path differ. The time of a directory says nothing of its own."""
    old, new = was[1], now[1]
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        yield "kind"
        return
    if old.st_mode != new.st_mode:
        yield "mode"
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        yield "owner"
    if read_xattrs(was[0]) != read_xattrs(now[0]):
        yield "xattrs"
    if stat.S_ISLNK(old.st_mode) and os.readlink(was[0]) != os.readlink(now[0]):
        yield "target"
    if (stat.S_ISCHR(old.st_mode) or stat.S_ISBLK(old.st_mode)) and old.st_rdev != new.st_rdev:
        yield "device"
    if stat.S_ISREG(old.st_mode) and (old.st_size != new.st_size or not _same_content(was[0], now[0])):
        yield "content"
    if not stat.S_ISDIR(old.st_mode) and old.st_mtime_ns != new.st_mtime_ns:
        yield "time"


def _same_content(one: bytes, other: bytes) -> bool:
    with open(one, "rb", buffering=0) as left, open(other, "rb", buffering=0) as right:
        while True:
            piece = left.read(_PIECE)
            if piece != right.read(_PIECE):
                return False
            if not piece:
                return True
