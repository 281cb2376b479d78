"""Owner, mode, xattrs and times of unpacked entries, in the order in which they must be set."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from shoal.image.tar.header import SYMLINK, TarEntry
from shoal.image.trees import entry_path
from shoal.image.whiteouts import PRIVATE_XATTRS

_TIME_MAX_NS = 2**62


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an entry has besides its data."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: dict[bytes, bytes] | None

    @classmethod
    def of(cls, entry: TarEntry) -> Attributes:
        """Those that a tar entry gives."""
        return cls(entry.mode & 0o7777, entry.uid, entry.gid, _clamped(entry.mtime_ns), entry.xattrs)

    def apply(self, fd: int) -> None:
        """Set them on an open file or directory. Raises: OSError."""
        os.fchown(fd, self.uid, self.gid)
        os.fchmod(fd, self.mode)  # after the owner: chown clears the set-uid bit
        if self.xattrs:  # after the owner: chown clears security.capability
            _set_xattrs(fd, self.xattrs)
        os.utime(fd, ns=(self.mtime_ns, self.mtime_ns))

    def apply_to_node(self, fd: int) -> None:
        """Set them on the link, device or FIFO behind the O_PATH descriptor `fd`. Raises: OSError.

        By the descriptor's own path, which leads to this very file, whatever has taken its name meanwhile.
        """
        path = b"/proc/self/fd/%d" % fd
        os.chown(path, self.uid, self.gid)
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(path, self.mode)
        if self.xattrs:
            _set_xattrs(path, self.xattrs, follow=True)
        os.utime(path, ns=(self.mtime_ns, self.mtime_ns))


def apply_to_fresh_file(entry: TarEntry, fd: int, owner: tuple[int, int]) -> None:
    """Set those of `entry` on a file that this process has just made, and that is `owner`'s so far. Raises: OSError."""
    if (entry.uid, entry.gid) != owner:
        os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode & 0o7777)
    if entry.xattrs:
        _set_xattrs(fd, entry.xattrs)
    time_ns = _clamped(entry.mtime_ns)
    os.utime(fd, ns=(time_ns, time_ns))


def apply_special(entry: TarEntry, dir_fd: int, name: bytes) -> None:
    """Set those of `entry` on the link, device or FIFO `name`, which nobody else knows yet. Raises: OSError."""
    os.chown(name, entry.uid, entry.gid, dir_fd=dir_fd, follow_symlinks=False)
    if entry.kind != SYMLINK:
        os.chmod(name, entry.mode & 0o7777, dir_fd=dir_fd)
    if entry.xattrs:
        _set_xattrs(entry_path(dir_fd, name), entry.xattrs)
    time_ns = _clamped(entry.mtime_ns)
    os.utime(name, ns=(time_ns, time_ns), dir_fd=dir_fd, follow_symlinks=False)


def _set_xattrs(target: int | bytes, xattrs: dict[bytes, bytes], *, follow: bool = False) -> None:
    """Set those xattrs that a layer may carry; one that the file system does not know is left out, as Docker does."""
    for name, value in xattrs.items():
        if name.startswith(PRIVATE_XATTRS):
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise


def _clamped(time_ns: int) -> int:
    return max(-_TIME_MAX_NS, min(_TIME_MAX_NS, time_ns))
