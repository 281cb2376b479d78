"""How an unpacked layer says that something of the layers below is gone.

As overlayfs wants it: a character device 0/0 for a deleted name, trusted.overlay.opaque on a directory that hides what
is below. Where these can't be made, because the data root itself lies on an overlay (a container in a container), marks
of shoal's own stand in; overlayfs can't be used on such a root, and the vfs snapshotter reads both.
Source: Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os
import stat

OVERLAY_OPAQUE = "trusted.overlay.opaque"
_OWN_OPAQUE = "user.shoal.opaque"
_OWN_WHITEOUT = "user.shoal.whiteout"
# Xattrs that are books about layers, not content: no archive may bring them, and none gets them.
PRIVATE_XATTRS = (b"trusted.overlay.", b"user.overlay.", b"user.shoal.")
_REFUSED = frozenset((errno.EPERM, errno.EOPNOTSUPP))


def is_whiteout_device(status: os.stat_result) -> bool:
    """Whether the entry is overlayfs's mark of a deletion."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_whiteout(path: bytes, status: os.stat_result) -> bool:
    """Whether the entry at `path`, whose lstat is `status`, marks a deletion in a layer."""
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        return _has(path, _OWN_WHITEOUT)
    return is_whiteout_device(status)


def make_whiteout(dir_fd: int, name: bytes) -> None:
    """Mark `name` as deleted. Raises: FileExistsError if it exists; OSError."""
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
        try:
            os.setxattr(fd, _OWN_WHITEOUT, b"y")
        finally:
            os.close(fd)


def is_opaque(directory: int | bytes) -> bool:
    """Whether the directory (open, or at a path) hides the lower directories of its name."""
    try:
        return os.getxattr(directory, OVERLAY_OPAQUE) == b"y" or _has(directory, _OWN_OPAQUE)
    except OSError:
        return _has(directory, _OWN_OPAQUE)


def make_opaque(fd: int) -> None:
    """Make the open directory hide the lower ones of its name. Raises: OSError."""
    try:
        os.setxattr(fd, OVERLAY_OPAQUE, b"y")
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        os.setxattr(fd, _OWN_OPAQUE, b"y")


def _has(target: int | bytes, xattr: str) -> bool:
    try:
        if isinstance(target, int):
            return os.getxattr(target, xattr) == b"y"
        return os.getxattr(target, xattr, follow_symlinks=False) == b"y"
    except OSError:
        return False  # ENODATA, or a file system without xattrs, where none was ever set
