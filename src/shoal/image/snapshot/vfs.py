"""Snapshots by copying: works on every file system, costs a copy of the image for each container.

The fallback where overlayfs is missing, or can't lie on the data root's file system.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from shoal.image.merged import MergedView
from shoal.image.snapshot.diff import LayerWriter, read_xattrs
from shoal.image.snapshot.protocol import Change, ChangeKind, Usage
from shoal.image.snapshot.records import SnapshotRecords, tree_usage
from shoal.image.trees import entry_path, open_directory, walk_tree
from shoal.image.whiteouts import make_whiteout
from shoal.oci.digest import Digest
from shoal.oci.rootfs import PlainRootfs

_COPY_MAX = 1 << 30


class VfsSnapshotter:
    """`Snapshotter` by copying: snapshots/<key>/fs."""

    name = "vfs"

    def __init__(self, records: SnapshotRecords) -> None:
        self._records = records

    def prepare(self, key: str, chain_ids: Sequence[Digest]) -> PlainRootfs:
        """See Snapshotter."""

        def make() -> str:
            directory = self._records.scratch_directory()
            try:
                target = os.path.join(directory, "fs")
                os.mkdir(target, 0o755)
                _copy_tree(MergedView(self._records.trees(chain_ids)), os.fsencode(target))
            except OSError:
                self._records.discard(directory)
                raise
            return directory

        return PlainRootfs(os.path.join(self._records.create(key, chain_ids, make), "fs"))

    def rootfs(self, key: str) -> PlainRootfs:
        """See Snapshotter."""
        return PlainRootfs(os.path.join(self._records.path(key), "fs"))

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
        """See Snapshotter."""
        self._records.purge()

    def usage(self, key: str) -> Usage:
        """See Snapshotter."""
        return tree_usage(self.rootfs(key).path)

    def changes(self, key: str) -> list[Change]:
        """See Snapshotter."""
        return [Change("/" + os.fsdecode(path), kind) for path, kind in sorted(self._compare(key).items())]

    def write_diff(self, key: str, write: Callable[[bytes | memoryview], object]) -> None:
        """See Snapshotter."""
        changes = self._compare(key)
        needed = {parent for path in changes for parent in _parents(path)}
        writer = LayerWriter(write)
        root_fd = open_directory(self.rootfs(key).path)
        try:
            for item in walk_tree(root_fd):
                if item.path in needed or changes.get(item.path, ChangeKind.DELETED) != ChangeKind.DELETED:
                    writer.add(item.path, item.parent_fd, item.name)
        finally:
            os.close(root_fd)
        for path in sorted(path for path, kind in changes.items() if kind == ChangeKind.DELETED):
            writer.whiteout(path)
        writer.close()

    def written(self, key: str) -> str:
        """See Snapshotter: what is as it was below goes, and marks stand for what is gone."""
        changes = self._compare(key)
        gone = [path for path, kind in changes.items() if kind == ChangeKind.DELETED]
        kept = changes.keys() - set(gone) | {parent for path in changes for parent in _parents(path)}
        tree = self.rootfs(key).path
        root = os.fsencode(tree) + b"/"
        directories: dict[bytes, os.stat_result] = {}
        root_fd = open_directory(tree)
        try:
            for item in walk_tree(root_fd):
                if stat.S_ISDIR(item.status.st_mode):
                    directories[item.path] = item.status
                elif item.path not in kept:
                    os.unlink(item.name, dir_fd=item.parent_fd)
        finally:
            os.close(root_fd)
        # No process has the tree any more, so that paths may be used.
        for path in gone:
            _mark_deleted(root + path)
        for path, status in reversed(directories.items()):
            if path in kept:
                os.utime(root + path, ns=(status.st_atime_ns, status.st_mtime_ns))
            else:
                os.rmdir(root + path)
        return tree

    def _compare(self, key: str) -> dict[bytes, ChangeKind]:
        """Every path that differs from the layers."""
        lower = MergedView(self._records.lower_trees(key))
        changes: dict[bytes, ChangeKind] = {}
        present: dict[bytes, set[bytes]] = {b"": set()}
        root_fd = open_directory(self.rootfs(key).path)
        try:
            for item in walk_tree(root_fd):
                present.setdefault(item.path.rpartition(b"/")[0], set()).add(item.name)
                below = lower.find(item.path)
                is_directory = stat.S_ISDIR(item.status.st_mode)
                if is_directory:
                    present.setdefault(item.path, set())
                if below is None:
                    changes[item.path] = ChangeKind.ADDED
                elif not _same(item.status, below[1]) or _xattrs_differ(item.parent_fd, item.name, below[0]):
                    changes[item.path] = ChangeKind.MODIFIED
        finally:
            os.close(root_fd)
        for directory, names in present.items():
            for name in lower.names(directory):
                if name not in names:
                    changes[directory + b"/" + name if directory else name] = ChangeKind.DELETED
        for path, kind in list(changes.items()):
            parent = path.rpartition(b"/")[0]
            if parent and kind != ChangeKind.MODIFIED:
                changes.setdefault(parent, ChangeKind.MODIFIED)
        return changes


def _copy_tree(view: MergedView, target: bytes) -> None:
    """Make `target`, an empty directory, look like `view`. Raises: OSError."""
    links: dict[tuple[int, int], bytes] = {}
    for path in _paths(view):
        found = view.find(path)
        if found is None:
            continue
        source, status = found
        destination = target + b"/" + path
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if identity in links:
                os.link(links[identity], destination, follow_symlinks=False)
                continue
            links[identity] = destination
        _create(source, status, destination)
        _copy_attributes(source, status, destination)
    _copy_directory_times(view, target)


def _paths(view: MergedView) -> Iterator[bytes]:
    """Every path of the view, parents first; the root is the empty one."""
    pending = [b""]
    while pending:
        path = pending.pop()
        yield path
        found = view.find(path)
        if found is not None and stat.S_ISDIR(found[1].st_mode):
            pending.extend((path + b"/" + name if path else name) for name in view.names(path))


def _create(source: bytes, status: os.stat_result, destination: bytes) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        if not os.path.isdir(destination):
            os.mkdir(destination, 0o700)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(source), destination)
    elif kind == stat.S_IFREG:
        _copy_file(source, destination, status.st_size)
    else:
        os.mknod(destination, kind | 0o600, status.st_rdev)


def _copy_file(source: bytes, destination: bytes, size: int) -> None:
    """Copy the data inside the kernel; a file system with reflinks shares the blocks."""
    with open(source, "rb", buffering=0) as reader, open(destination, "xb", buffering=0) as writer:
        left = size
        while left > 0:
            try:
                copied = os.copy_file_range(reader.fileno(), writer.fileno(), min(left, _COPY_MAX))
            except OSError as error:
                # Before Linux 5.3 not across file systems, and not on every one.
                if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                copied = os.sendfile(writer.fileno(), reader.fileno(), None, min(left, _COPY_MAX))
            if not copied:
                break
            left -= copied


def _copy_attributes(source: bytes, status: os.stat_result, destination: bytes) -> None:
    os.chown(destination, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(destination, stat.S_IMODE(status.st_mode))  # after the owner: chown clears set-uid
    for name, value in read_xattrs(source).items():
        os.setxattr(destination, name, value, follow_symlinks=False)
    os.utime(destination, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)


def _copy_directory_times(view: MergedView, target: bytes) -> None:
    """Set the directories' times again, which filling them has changed."""
    for path in list(_paths(view)):
        found = view.find(path)
        if found is not None and stat.S_ISDIR(found[1].st_mode):
            os.utime(target + b"/" + path, ns=(found[1].st_mtime_ns, found[1].st_mtime_ns))


def _same(upper: os.stat_result, lower: os.stat_result) -> bool:
    """Whether two entries look the same: kind, mode, owner, device, size and time."""
    if (upper.st_mode, upper.st_uid, upper.st_gid) != (lower.st_mode, lower.st_uid, lower.st_gid):
        return False
    if stat.S_ISDIR(upper.st_mode):
        return upper.st_mtime_ns == lower.st_mtime_ns
    return (upper.st_rdev, upper.st_size, upper.st_mtime_ns) == (lower.st_rdev, lower.st_size, lower.st_mtime_ns)


def _xattrs_differ(parent_fd: int, name: bytes, lower: bytes) -> bool:
    return read_xattrs(entry_path(parent_fd, name)) != read_xattrs(lower)


def _mark_deleted(path: bytes) -> None:
    directory, _, name = path.rpartition(b"/")
    fd = open_directory(directory)
    try:
        make_whiteout(fd, name)
    finally:
        os.close(fd)


def _parents(path: bytes) -> Iterator[bytes]:
    """The directories above `path`, without the root."""
    while path := path.rpartition(b"/")[0]:
        yield path
