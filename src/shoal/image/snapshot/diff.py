"""From files on disk to tar entries: how a snapshot's changes become a layer.

Reads trees that a container may be changing: a file is archived with the size it had when it was opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.writer import TarWriter
from shoal.image.trees import entry_path
from shoal.image.unpack import OPAQUE_NAME, WHITEOUT_PREFIX
from shoal.image.whiteouts import PRIVATE_XATTRS

_KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
# overlayfs's own books, and a label of this machine's policy, don't belong into an image.
_LOCAL_XATTRS = (*PRIVATE_XATTRS, b"security.selinux")
_PIECE = 1 << 20
FollowData = Callable[[bytes, int, Iterator[bytes]], Iterator[bytes]]
# What a look at an entry gives that the container has replaced since: it is left out, as if it were gone.
_REPLACED = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO))


class LayerWriter:
    """Writes a layer's tar from entries of a tree, in walking order (parents first)."""

    def __init__(self, write: Callable[[bytes | memoryview], object], follow: FollowData | None = None) -> None:
        """`follow` is given each file's path, size and data, and gives the data back: it sees where they begin."""
        self._tar = TarWriter(write)
        self._follow = follow
        self._links: dict[tuple[int, int], bytes] = {}

    def add(self, path: bytes, parent_fd: int, name: bytes) -> None:
        """Archive the entry `name` of the open directory as `path`. A socket is left out, as is what vanished."""
        try:
            status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            kind = _KINDS.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                return
            if kind == REGULAR:
                self._add_file(path, parent_fd, name)
                return
            self._tar.add(_entry(path, kind, status, parent_fd, name))
        except OSError as error:
            if error.errno not in _REPLACED:
                raise

    def whiteout(self, path: bytes) -> None:
        """Note that the lower layers' `path` is deleted."""
        parent, slash, name = path.rpartition(b"/")
        self._tar.add(TarEntry(parent + slash + WHITEOUT_PREFIX + name, mode=0o600))

    def opaque(self, path: bytes) -> None:
        """Note that nothing of the lower layers shows in the directory `path`."""
        self._tar.add(TarEntry(path + b"/" + OPAQUE_NAME if path else OPAQUE_NAME, mode=0o600))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def _add_file(self, path: bytes, parent_fd: int, name: bytes) -> None:
        # O_NONBLOCK: the container may have put a FIFO here since the lstat.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and identity in self._links:
                self._tar.add(_entry(path, HARD_LINK, status, parent_fd, name, link=self._links[identity]))
                return
            self._links[identity] = path
            data = _exactly(fd, status.st_size)
            if self._follow is not None:
                data = self._follow(path, status.st_size, data)
            self._tar.add(_file_entry(path, status, fd), data)
        finally:
            os.close(fd)


def _file_entry(path: bytes, status: os.stat_result, fd: int) -> TarEntry:
    """The tar entry for the open file, whose xattrs are quicker to read so than by a path."""
    return TarEntry(
        path,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        xattrs=read_xattrs(fd),
    )


def _entry(
    path: bytes, kind: bytes, status: os.stat_result, parent_fd: int, name: bytes, *, link: bytes = b""
) -> TarEntry:
    """The tar entry for a file of `kind` with this `status`."""
    device = kind in (CHARACTER, BLOCK_DEVICE)
    return TarEntry(
        path + b"/" if kind == DIRECTORY else path,
        kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == REGULAR else 0,
        mtime_ns=status.st_mtime_ns,
        linkname=os.readlink(name, dir_fd=parent_fd) if kind == SYMLINK else link,
        major=os.major(status.st_rdev) if device else 0,
        minor=os.minor(status.st_rdev) if device else 0,
        xattrs=None if kind == HARD_LINK else read_xattrs(entry_path(parent_fd, name)),
    )


def read_xattrs(path: bytes | int) -> dict[bytes, bytes]:
    """The xattrs of `path` (no symlink is followed), or of an open file, that belong into an image."""
    follow = isinstance(path, int)  # which is the only thing that a descriptor can do
    try:
        names = [os.fsencode(name) for name in os.listxattr(path, follow_symlinks=follow)]
        return {
            name: os.getxattr(path, name, follow_symlinks=follow)
            for name in names
            if not name.startswith(_LOCAL_XATTRS)
        }
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.ENOENT):
            return {}
        raise


def _exactly(fd: int, size: int) -> Iterator[bytes]:
    """`size` bytes of the file; zeros where it has become shorter meanwhile."""
    left = size
    while left:
        piece = os.read(fd, min(left, _PIECE)) or bytes(min(left, _PIECE))
        left -= len(piece)
        yield piece
