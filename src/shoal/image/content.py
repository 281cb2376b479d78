"""Copying a directory of an image out of its layers: the first content of a volume.

Nothing is mounted. The layers don't change while a snapshot holds them, so that they are read by path; the target is
written by descriptors alone, because another container may have the volume mounted and put links into it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from shoal.errors import Conflict
from shoal.image.attributes import Attributes
from shoal.image.merged import MergedView
from shoal.image.trees import open_directory
from shoal.image.whiteouts import PRIVATE_XATTRS
from shoal.oci.rootfs import OverlayRootfs, Rootfs

_SYMLINKS_MAX = 40
_PIECE_BYTES = 1 << 20
_DEPTH_MAX = 256  # each costs a descriptor


class ImageDirectory:
    """The directory that `path` names inside `rootfs`, a snapshot that no container has started on yet.

    `exists` is false where the image has nothing there.

    Raises: Conflict where it has a file.
    """

    def __init__(self, rootfs: Rootfs, path: str) -> None:
        # Its own layer comes first: a snapshotter may have put something there already.
        trees = (rootfs.upper, *rootfs.lower) if isinstance(rootfs, OverlayRootfs) else (rootfs.path,)
        self._view = MergedView(trees)
        self._path = _resolve(self._view, os.fsencode(path))
        found = self._view.find(self._path) if self._path is not None else None
        if found is not None and not stat.S_ISDIR(found[1].st_mode):
            raise Conflict(f"cannot mount volume over existing file, file exists {path}")
        self.exists = found is not None

    def copy_to(self, target_fd: int) -> None:
        """Gives the open, empty directory the content, owner, mode and times of this one. Raises: OSError."""
        if self._path is None or not self.exists:
            return
        _Copy(self._view).directory(self._path, target_fd)


class _Copy:
    """One copy: remembers hard links, so that they are links again."""

    def __init__(self, view: MergedView) -> None:
        self._view = view
        self._linked: dict[tuple[int, int], bytes] = {}
        self._root_fd = -1

    def directory(self, path: bytes, target_fd: int) -> None:
        """All below `path`, children before their parent's times. The depth is the image's, without recursion."""
        self._root_fd = target_fd
        stack: list[tuple[bytes, bytes, int, Iterator[bytes]]] = [
            (path, b"", os.dup(target_fd), iter(self._view.names(path)))
        ]
        try:
            while stack:
                source, inside, fd, names = stack[-1]
                name = next(names, None)
                if name is None:
                    self._attributes(source, fd)
                    os.close(stack.pop()[2])
                    continue
                child = source + b"/" + name if source else name
                found = self._view.find(child)
                if found is None:
                    continue
                here = inside + b"/" + name if inside else name
                if stat.S_ISDIR(found[1].st_mode):
                    if len(stack) >= _DEPTH_MAX:
                        raise OSError(errno.ENAMETOOLONG, f"{len(stack)} directories in each other", here)
                    os.mkdir(name, 0o700, dir_fd=fd)
                    stack.append((child, here, open_directory(name, fd), iter(self._view.names(child))))
                else:
                    self._entry(*found, fd, name, here)
        finally:
            for _, _, fd, _ in stack:
                os.close(fd)

    def _attributes(self, path: bytes, fd: int) -> None:
        found = self._view.find(path)
        if found is not None:
            _attributes_of(*found).apply(fd)

    def _entry(self, real: bytes, status: os.stat_result, fd: int, name: bytes, inside: bytes) -> None:
        """One file, link, device or FIFO."""
        identity = (status.st_dev, status.st_ino)
        first = self._linked.get(identity) if status.st_nlink > 1 else None
        if first is not None and _linked(self._root_fd, first, fd, name):
            return
        if stat.S_ISREG(status.st_mode):
            _copy_file(real, _attributes_of(real, status), fd, name)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(real), name, dir_fd=fd)
            _set_owner_and_time(status, fd, name)
        elif not stat.S_ISSOCK(status.st_mode):
            os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=fd)
            # A container that has the volume might replace it by a link now: then nothing is followed.
            _set_owner_and_time(status, fd, name)
            place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(status.st_mode))
            finally:
                os.close(place)
        self._linked[identity] = inside


def _linked(root_fd: int, first: bytes, fd: int, name: bytes) -> bool:
    """Whether `name` is now a further name of `first`, a path below the root without links in it when it was made."""
    parent, _, last = first.rpartition(b"/")
    parents = [os.dup(root_fd)]
    try:
        for part in parent.split(b"/") if parent else ():
            parents.append(open_directory(part, parents[-1]))
        os.link(last, name, src_dir_fd=parents[-1], dst_dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False  # changed meanwhile: the content is copied once more
    finally:
        for parent_fd in parents:
            os.close(parent_fd)
    return True


def _copy_file(real: bytes, attributes: Attributes, dir_fd: int, name: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(real, "rb", buffering=0) as source:
        target = os.open(name, flags, 0o600, dir_fd=dir_fd)
        try:
            while os.sendfile(target, source.fileno(), None, _PIECE_BYTES):
                pass
            attributes.apply(target)
        finally:
            os.close(target)


def _attributes_of(real: bytes, status: os.stat_result) -> Attributes:
    names = [os.fsencode(name) for name in os.listxattr(real, follow_symlinks=False)]
    xattrs = {
        name: os.getxattr(real, name, follow_symlinks=False) for name in names if not name.startswith(PRIVATE_XATTRS)
    }
    return Attributes(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, xattrs)


def _set_owner_and_time(status: os.stat_result, dir_fd: int, name: bytes) -> None:
    os.chown(name, status.st_uid, status.st_gid, dir_fd=dir_fd, follow_symlinks=False)
    times = (status.st_mtime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=dir_fd, follow_symlinks=False)


def _resolve(view: MergedView, path: bytes) -> bytes | None:
    """`path` inside the merged trees, links resolved with their root as "/"; None where it leads nowhere."""
    pending = path.split(b"/")[::-1]
    done: list[bytes] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            done = done[:-1]
            continue
        found = view.find(b"/".join([*done, part]))
        if found is None:
            return None
        if not stat.S_ISLNK(found[1].st_mode):
            done.append(part)
            continue
        links += 1
        if links > _SYMLINKS_MAX:
            return None
        target = os.readlink(found[0])
        done = [] if target.startswith(b"/") else done
        pending.extend(reversed(target.split(b"/")))
    return b"/".join(done)
