"""Making the tree of a layer out of items: parents as they are below, or new ones; nothing is written through a link.

The tree is fresh and nobody else knows it. Every directory on a path was made here, which is why paths may be used. All
that is made is told to a record. A file that the step has made the same before becomes a link to that one: layers never
change, and a link costs a third of a new file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator

from shoal.build.cache import Inputs
from shoal.build.copying import Item
from shoal.build.files import Files
from shoal.build.ports import Record
from shoal.errors import Internal, InvalidArgument
from shoal.oci.file_entry import FileEntry

_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 256 * 1024
_PIECE = 1 << 20


class Unrecorded:
    """The record of a directory that becomes no layer."""

    def add(self, path: bytes, entry: FileEntry, time_ns: int, data: bytes | Iterable[bytes]) -> None:
        """See Record."""

    def void(self) -> None:
        """See Record."""


class SameFiles:
    """Which files are as in the layer `tree`, which the step came to with other inputs."""

    def __init__(self, tree: str, before: Inputs, now: Inputs) -> None:
        self._tree = os.fsencode(tree) + b"/"
        self._before = before.files
        self._now = now.files

    def find(self, path: bytes) -> bytes | None:
        """Where the same file lies, "same" in all that a layer has of it; None where there is none."""
        line = self._now.get(path)
        return self._tree + path if line is not None and line == self._before.get(path) else None


class LayerWriting:
    """Puts items into the empty directory `tree`, which is to lie on top of `base`, and tells `record`.

    New directories that no item describes belong to `owner`. Times are `latest_ns` where they are later.
    """

    def __init__(
        self,
        tree: str,
        base: Files,
        record: Record,
        *,
        owner: tuple[int, int],
        latest_ns: int,
        same: SameFiles | None = None,
    ) -> None:
        self._tree = os.fsencode(tree)
        self._base = base
        self._record = record
        self._owner = owner
        self._latest_ns = latest_ns
        self._same = same
        self._made: dict[bytes, FileEntry] = {b"": FileEntry(stat.S_IFDIR | 0o755)}
        self._new: set[bytes] = set()  # directories that are not in the base, so that nothing in them is
        self._empty: set[bytes] = set()  # directories that are in the base, and say nothing as long as they are empty
        self._times: list[tuple[bytes, int]] = []

    def write(self, items: Iterable[Item]) -> None:
        """Make every item, and set the directories' times at last.

        Raises: InvalidArgument where an entry is in the way of another; Internal for a full disk.
        """
        try:
            for item in items:
                self._write(item)
            for path, time_ns in reversed(self._times):
                os.utime(self._real(path), ns=(time_ns, time_ns))
            if self._empty:
                self._record.void()
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise Internal("failed to write layer", why=why, fix="docker builder prune, docker image prune") from error

    def make_directory(self, path: bytes) -> None:
        """Make the directory `path` and those above it, as WORKDIR does."""
        self._directory(path)
        self.write(())

    def _write(self, item: Item) -> None:
        path, entry = item.target, item.entry
        if entry.is_directory:
            self._write_directory(item)
            return
        parent = path.rpartition(b"/")[0]
        self._directory(parent)
        below = self._made.get(path) or self._below(path, parent)
        if below is not None and below.is_directory:
            raise InvalidArgument(f"cannot copy to directory: /{os.fsdecode(path)}", why="the source is no directory")
        if path in self._made:
            os.unlink(self._real(path))
            self._record.void()
        self._make(item, self._real(path))
        self._made[path] = entry
        self._empty.discard(parent)

    def _write_directory(self, item: Item) -> None:
        parent = item.target.rpartition(b"/")[0]
        known = self._made.get(item.target)
        below = known or self._below(item.target, parent)
        if below is not None and not below.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: /{os.fsdecode(item.target)}")
        if below is not None and item.is_top:
            self._directory(item.target)
            return
        self._directory(parent)
        if known is None:
            self._make_directory(item.target, item.entry, is_new=below is None)
        else:
            self._set(self._real(item.target), item.entry)
            self._made[item.target] = item.entry
            self._record.void()

    def _below(self, path: bytes, parent: bytes) -> FileEntry | None:
        """What is at `path` in the base."""
        return None if parent in self._new else self._base.find(path)

    def _directory(self, path: bytes) -> None:
        """Have the directory `path` in the tree, with those above it."""
        known = self._made.get(path)
        if known is None:
            parent = path.rpartition(b"/")[0]
            self._directory(parent)
            known = below = self._below(path, parent)
            if known is None:
                known = FileEntry(stat.S_IFDIR | 0o755, *self._owner, self._latest_ns)
            if known.is_directory:
                self._make_directory(path, known, is_new=below is None)
        if not known.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: /{os.fsdecode(path)}")

    def _make_directory(self, path: bytes, entry: FileEntry, *, is_new: bool) -> None:
        real = self._real(path)
        os.mkdir(real, 0o700)
        self._set(real, entry)
        self._made[path] = entry
        (self._new if is_new else self._empty).add(path)
        self._empty.discard(path.rpartition(b"/")[0])
        time_ns = min(entry.mtime_ns, self._latest_ns)
        self._times.append((path, time_ns))
        self._record.add(path, entry, time_ns, ())

    def _make(self, item: Item, real: bytes) -> None:
        entry = item.entry
        time_ns = min(entry.mtime_ns, self._latest_ns)
        if entry.is_file:
            self._make_file(item, real, time_ns)
            return
        if entry.is_link:
            os.symlink(entry.target, real)
        else:
            os.mknod(real, stat.S_IFMT(entry.mode) | 0o600, entry.device)
        self._set(real, entry)
        os.utime(real, ns=(time_ns, time_ns), follow_symlinks=False)
        self._record.add(item.target, entry, time_ns, ())

    def _make_file(self, item: Item, real: bytes, time_ns: int) -> None:
        """The file, by another name of the one that is the same, or written. A small one is read once for all."""
        entry = item.entry
        content = item.files.head(item.source, entry.size) if entry.size <= _SMALL else None
        if content is not None and len(content) != entry.size:
            raise InvalidArgument(f"cannot copy /{os.fsdecode(item.target)}", why="its content was cut off")
        same = self._same.find(item.target) if self._same is not None else None
        if same is None or not _linked(same, real):
            self._write_file(item, real, time_ns, content)
        elif content is None:
            with open(real, "rb", buffering=0) as file:
                self._record.add(item.target, entry, time_ns, _pieces(file.fileno()))
        else:
            self._record.add(item.target, entry, time_ns, content)

    def _write_file(self, item: Item, real: bytes, time_ns: int, content: bytes | None) -> None:
        fd = os.open(real, _NEW_FILE, 0o600)
        try:
            if content is None:
                item.files.copy(item.source, fd)
            elif os.write(fd, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._set(fd, item.entry)
            os.utime(fd, ns=(time_ns, time_ns))
            self._record.add(item.target, item.entry, time_ns, _pieces(fd) if content is None else content)
        finally:
            os.close(fd)

    def _set(self, place: int | bytes, entry: FileEntry) -> None:
        """Owner, mode and xattrs, in the order in which the kernel keeps them all."""
        if isinstance(place, int):
            os.fchown(place, entry.uid, entry.gid)
            os.fchmod(place, stat.S_IMODE(entry.mode))
        else:
            os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
            if not entry.is_link:
                os.chmod(place, stat.S_IMODE(entry.mode))
        for name, value in entry.xattrs.items():
            if isinstance(place, int):
                os.setxattr(place, name, value)
            else:
                os.setxattr(place, name, value, follow_symlinks=False)

    def _real(self, path: bytes) -> bytes:
        return self._tree + b"/" + path if path else self._tree


def _linked(old: bytes, new: bytes) -> bool:
    """Whether the file has got the other name; False where that can't be."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:  # it is gone, or has as many names as the file system can count
        return False
    return True


def _pieces(fd: int) -> Iterator[bytes]:
    """All of a file, read behind whoever wrote it."""
    offset = 0
    while piece := os.pread(fd, _PIECE, offset):
        offset += len(piece)
        yield piece
