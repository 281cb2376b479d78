"""Snapshots by overlayfs: an empty upper directory for each container, nothing copied.

The overlay must be mounted with redirect_dir=off and metacopy=off: a redirect or a data-less copy in the upper
directory would make it unreadable without its lower ones.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence

from shoal.image.merged import MergedView
from shoal.image.snapshot.diff import LayerWriter
from shoal.image.snapshot.protocol import Change, ChangeKind, Usage
from shoal.image.snapshot.records import SnapshotRecords, tree_usage
from shoal.image.trees import open_directory, walk_tree
from shoal.image.whiteouts import is_opaque, is_whiteout_device
from shoal.oci.digest import Digest
from shoal.oci.rootfs import OverlayRootfs


class OverlaySnapshotter:
    """`Snapshotter` on overlayfs: snapshots/<key>/{upper,work}."""

    name = "overlay2"

    def __init__(self, records: SnapshotRecords) -> None:
        self._records = records
        self._blanks = records.blanks(_fill)

    def prepare(self, key: str, chain_ids: Sequence[Digest]) -> OverlayRootfs:
        """See Snapshotter."""
        lower = self._records.trees(chain_ids)

        def make() -> str:
            directory = self._blanks.take()
            upper = os.path.join(directory, "upper")
            # The root directory of an overlay is the upper one: it has to look like the image's.
            status = os.stat(lower[0])
            os.chown(upper, status.st_uid, status.st_gid)
            os.chmod(upper, stat.S_IMODE(status.st_mode))
            return directory

        return _rootfs(self._records.create(key, chain_ids, make), lower)

    def rootfs(self, key: str) -> OverlayRootfs:
        """See Snapshotter."""
        return _rootfs(self._records.path(key), self._records.lower_trees(key))

    def keys(self) -> list[str]:
        """See Snapshotter."""
        return self._records.keys()

    def chain(self, key: str) -> tuple[Digest, ...]:
        """See Snapshotter."""
        return self._records.chain(key)

    def remove(self, key: str) -> None:
        """See Snapshotter."""
        self._records.remove(key)

    def purge_trash(self) -> None:
        """See Snapshotter; makes directories for the next snapshots ready, too."""
        self._records.purge()
        self._blanks.refill()

    def usage(self, key: str) -> Usage:
        """See Snapshotter."""
        return tree_usage(self.rootfs(key).upper)

    def changes(self, key: str) -> list[Change]:
        """See Snapshotter."""
        rootfs = self.rootfs(key)
        changes: dict[bytes, ChangeKind] = {}
        root_fd = open_directory(rootfs.upper)
        try:
            _collect_changes(root_fd, MergedView(rootfs.lower), changes)
        finally:
            os.close(root_fd)
        return [Change("/" + os.fsdecode(path), kind) for path, kind in sorted(changes.items())]

    def write_diff(self, key: str, write: Callable[[bytes | memoryview], object]) -> None:
        """See Snapshotter."""
        writer = LayerWriter(write)
        root_fd = open_directory(self.rootfs(key).upper)
        try:
            for item in walk_tree(root_fd):
                if is_whiteout_device(item.status):
                    writer.whiteout(item.path)
                    continue
                writer.add(item.path, item.parent_fd, item.name)
                if stat.S_ISDIR(item.status.st_mode) and _child_is_opaque(item.parent_fd, item.name):
                    writer.opaque(item.path)
        finally:
            os.close(root_fd)
        writer.close()

    def written(self, key: str) -> str:
        """See Snapshotter."""
        return self.rootfs(key).upper


def _fill(directory: str) -> None:
    """Make of an empty directory a blank one. Raises: OSError."""
    os.mkdir(os.path.join(directory, "upper"), 0o755)
    os.mkdir(os.path.join(directory, "work"), 0o700)


def _rootfs(directory: str, lower: tuple[str, ...]) -> OverlayRootfs:
    return OverlayRootfs(lower=lower, upper=os.path.join(directory, "upper"), work=os.path.join(directory, "work"))


def _collect_changes(root_fd: int, lower: MergedView, changes: dict[bytes, ChangeKind]) -> None:
    """Put into `changes` what the upper directory says against `lower`, by the rules of `docker diff`."""
    for item in walk_tree(root_fd):
        below = lower.find(item.path)
        if is_whiteout_device(item.status):
            if below is not None:
                changes[item.path] = ChangeKind.DELETED
                _touch_parent(item.path, changes)
            continue
        if below is None:
            changes[item.path] = ChangeKind.ADDED
            _touch_parent(item.path, changes)
            continue
        both_directories = stat.S_ISDIR(item.status.st_mode) and stat.S_ISDIR(below[1].st_mode)
        if both_directories and _child_is_opaque(item.parent_fd, item.name):
            changes[item.path] = ChangeKind.MODIFIED
            shown = set(_names_in(item.parent_fd, item.name))
            for name in lower.names(item.path):
                if name not in shown:
                    changes[item.path + b"/" + name] = ChangeKind.DELETED
        elif not (both_directories and _same_directory(item.status, below[1])):
            # A directory that is here only because something below it changed has not changed itself.
            changes[item.path] = ChangeKind.MODIFIED


def _touch_parent(path: bytes, changes: dict[bytes, ChangeKind]) -> None:
    """A directory in which something came or went counts as modified, whatever its times say."""
    parent = path.rpartition(b"/")[0]
    if parent:
        changes.setdefault(parent, ChangeKind.MODIFIED)


def _same_directory(upper: os.stat_result, lower: os.stat_result) -> bool:
    def identity(status: os.stat_result) -> tuple[int, int, int, int]:
        return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns

    return identity(upper) == identity(lower)


def _child_is_opaque(dir_fd: int, name: bytes) -> bool:
    try:
        fd = open_directory(name, dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return False  # the container has replaced it meanwhile
    try:
        return is_opaque(fd)
    finally:
        os.close(fd)


def _names_in(dir_fd: int, name: bytes) -> list[bytes]:
    try:
        fd = open_directory(name, dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return [os.fsencode(entry) for entry in os.listdir(fd)]
    finally:
        os.close(fd)
