"""A directory that becomes a layer as it is: what a step of a build wrote is renamed, not unpacked a second time.

    prune     directories that only lost or gained a time say nothing: they go
    describe  the tree's tar, made once, without being written anywhere: its digest, its size and its skeleton

The tree is the caller's alone by then: no process has it any more.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shoal.image.merged import MergedView
from shoal.image.skeleton import SkeletonWriter
from shoal.image.snapshot.diff import LayerWriter, read_xattrs
from shoal.image.trees import open_directory, walk_tree
from shoal.image.whiteouts import is_opaque, is_whiteout, is_whiteout_device


@dataclass(frozen=True, slots=True)
class Described:
    """What a tree is as a layer: the sha256 of its tar, the tar's size, and the bytes of its files."""

    digits: str
    archive_size: int
    size_bytes: int


def prune(tree: str, lower: MergedView) -> bool:
    """Whether anything is left of `tree` without what says nothing on top of `lower`.

    Sockets go too: no archive can have them. Raises: OSError.
    """
    root = os.fsencode(tree)
    directories: list[bytes] = []
    root_fd = open_directory(tree)
    try:
        for item in walk_tree(root_fd):
            if stat.S_ISDIR(item.status.st_mode):
                directories.append(item.path)
            elif stat.S_ISSOCK(item.status.st_mode):
                os.unlink(item.name, dir_fd=item.parent_fd)
            elif is_whiteout_device(item.status) and lower.find(item.path) is None:
                os.unlink(item.name, dir_fd=item.parent_fd)  # it hides what never was
    finally:
        os.close(root_fd)
    for path in reversed(directories):
        if _says_nothing(root + b"/" + path, path, lower):
            os.rmdir(root + b"/" + path)
    return bool(os.listdir(tree))


def _says_nothing(real: bytes, path: bytes, lower: MergedView) -> bool:
    """Whether the directory is empty here, and in all but its times as it is below."""
    found = lower.find(path)
    if found is None or not stat.S_ISDIR(found[1].st_mode) or os.listdir(real) or is_opaque(real):
        return False
    here, below = os.lstat(real), found[1]
    same = (here.st_mode, here.st_uid, here.st_gid) == (below.st_mode, below.st_uid, below.st_gid)
    return same and read_xattrs(real) == read_xattrs(found[0])


def describe(tree: str, skeleton: BinaryIO, latest_ns: int) -> Described:
    """What `tree` is as a layer; writes its skeleton. Times later than `latest_ns` become that, in the tree as well.

    Raises: OSError.
    """
    notes = LayerNotes(SkeletonWriter(skeleton))
    writer = LayerWriter(notes.write, notes.file)
    seen: set[tuple[int, int]] = set()
    root_fd = open_directory(tree)
    try:
        for item in walk_tree(root_fd):
            status = item.status
            if is_whiteout_device(status) or is_whiteout(os.fsencode(tree) + b"/" + item.path, status):
                writer.whiteout(item.path)
                continue
            if status.st_mtime_ns > latest_ns:
                times = (latest_ns, latest_ns)
                os.utime(item.name, ns=times, dir_fd=item.parent_fd, follow_symlinks=False)
            writer.add(item.path, item.parent_fd, item.name)
            if stat.S_ISDIR(status.st_mode) and is_opaque(os.fsencode(tree) + b"/" + item.path):
                writer.opaque(item.path)
            elif stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                if status.st_nlink > 1:
                    seen.add((status.st_dev, status.st_ino))
                notes.size_bytes += status.st_size
    finally:
        os.close(root_fd)
    writer.close()
    notes.skeleton.close()
    return notes.described()


class LayerNotes:
    """Takes a tar as it is written: hashes all of it, and keeps what is not file data."""

    def __init__(self, skeleton: SkeletonWriter) -> None:
        self.skeleton = skeleton
        self.hasher = hashlib.sha256()
        self.archive_size = 0
        self.size_bytes = 0
        self._in_file = False

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the tar."""
        self.hasher.update(data)
        self.archive_size += len(data)
        if not self._in_file:
            self.skeleton.raw(data)

    def content(self, path: bytes, header: bytes, content: bytes, padding: bytes) -> None:
        """Take the whole of a file's part of the tar."""
        self.hasher.update(b"".join((header, content, padding)))
        self.archive_size += len(header) + len(content) + len(padding)
        self.skeleton.raw(header)
        if content:
            self.skeleton.file(path, len(content))
        if padding:
            self.skeleton.raw(padding)

    def file(self, path: bytes, size: int, data: Iterable[bytes]) -> Iterator[bytes]:
        """The same `data`, which is that of the file at `path`."""
        if not size:
            return
        self.skeleton.file(path, size)
        self._in_file = True
        yield from data
        self._in_file = False

    def described(self) -> Described:
        """What the tree is, when its tar is at its end."""
        return Described(self.hasher.hexdigest(), self.archive_size, self.size_bytes)
