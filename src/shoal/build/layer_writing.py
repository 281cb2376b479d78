"""Making the tree of a layer out of items: parents as they are below, or new ones; nothing is written through a link.

The tree is fresh and nobody else knows it. Every directory on a path was made here, which is why paths may be used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from shoal.build.copying import Item
from shoal.build.files import Files
from shoal.errors import Internal, InvalidArgument
from shoal.oci.file_entry import FileEntry

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LayerWriting:
    """Puts items into the empty directory `tree`, which is to lie on top of `base`.

    New directories that no item describes belong to `owner`. Times are `latest_ns` where they are later.
    """

    def __init__(self, tree: str, base: Files, *, owner: tuple[int, int], latest_ns: int) -> None:
        self._tree = os.fsencode(tree)
        self._base = base
        self._owner = owner
        self._latest_ns = latest_ns
        self._made: dict[bytes, FileEntry] = {b"": FileEntry(stat.S_IFDIR | 0o755)}
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
        self._directory(path.rpartition(b"/")[0])
        below = self._made.get(path) or self._base.find(path)
        if below is not None and below.is_directory:
            raise InvalidArgument(f"cannot copy to directory: /{os.fsdecode(path)}", why="the source is no directory")
        if path in self._made:
            os.unlink(self._real(path))
        self._make(item, self._real(path))
        self._made[path] = entry

    def _write_directory(self, item: Item) -> None:
        known = self._made.get(item.target)
        below = known or self._base.find(item.target)
        if below is not None and not below.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: /{os.fsdecode(item.target)}")
        if below is not None and item.is_top:
            self._directory(item.target)
            return
        self._directory(item.target.rpartition(b"/")[0])
        if known is None:
            self._make_directory(item.target, item.entry)
        else:
            self._set(self._real(item.target), item.entry)
            self._made[item.target] = item.entry

    def _directory(self, path: bytes) -> None:
        """Have the directory `path` in the tree, with those above it."""
        known = self._made.get(path)
        if known is None:
            self._directory(path.rpartition(b"/")[0])
            known = self._base.find(path)
            if known is None:
                known = FileEntry(stat.S_IFDIR | 0o755, *self._owner, self._latest_ns)
            if known.is_directory:
                self._make_directory(path, known)
        if not known.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: /{os.fsdecode(path)}")

    def _make_directory(self, path: bytes, entry: FileEntry) -> None:
        real = self._real(path)
        os.mkdir(real, 0o700)
        self._set(real, entry)
        self._made[path] = entry
        self._times.append((path, min(entry.mtime_ns, self._latest_ns)))

    def _make(self, item: Item, real: bytes) -> None:
        entry = item.entry
        if entry.is_file:
            fd = os.open(real, _NEW_FILE, 0o600)
            try:
                if entry.size:
                    item.files.copy(item.source, fd)
                self._set(fd, entry)
                time_ns = min(entry.mtime_ns, self._latest_ns)
                os.utime(fd, ns=(time_ns, time_ns))
            finally:
                os.close(fd)
            return
        if entry.is_link:
            os.symlink(entry.target, real)
        else:
            os.mknod(real, stat.S_IFMT(entry.mode) | 0o600, entry.device)
        self._set(real, entry)
        time_ns = min(entry.mtime_ns, self._latest_ns)
        os.utime(real, ns=(time_ns, time_ns), follow_symlinks=False)

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
