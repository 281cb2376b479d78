"""Copies a directory of a container's root into a fresh file system of its own, by descriptors alone.

Used by the child before the change of root. Its content may be hostile: no name is followed, and what is copied is
what was opened.
"""

from __future__ import annotations

import os
import stat

from shoal.errors import SyscallError

_CHUNK = 1 << 20
# Deeper than PATH_MAX allows a path to be named; each level holds two descriptors.
_MOST_LEVELS = 128


def copy_directory(source: int, target: int) -> None:
    """Copies what is in the directory `source` into the directory `target`: contents, owners, modes, links, devices.

    Both are open directories, borrowed; `target` may be an O_PATH descriptor. `target` gets the owner and mode too.

    Raises: SyscallError (ENOSPC: the file system is too small for it).
    """
    try:
        _copy(source, target, _MOST_LEVELS)
    except OSError as error:
        raise SyscallError("copy", os.fsdecode(error.filename or ""), error.errno or 0) from None


def _copy(source: int, target: int, levels: int) -> None:
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR and levels:
            _copy_below(name, source, target, levels)
        elif kind == stat.S_IFREG:
            _copy_file(name, source, target)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO):
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    _take_over(os.fstat(source), target)


def _copy_below(name: str, source: int, target: int, levels: int) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    os.mkdir(name, 0o700, dir_fd=target)
    inner = os.open(name, flags, dir_fd=source)
    try:
        made = os.open(name, flags, dir_fd=target)
        try:
            _copy(inner, made, levels - 1)
        finally:
            os.close(made)
    finally:
        os.close(inner)


def _copy_file(name: str, source: int, target: int) -> None:
    # O_NONBLOCK: what was a file a moment ago must not be able to block us as a FIFO.
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while os.sendfile(writing, reading, None, _CHUNK):
                pass
            for attribute in os.listxattr(reading):
                _copy_attribute(attribute, reading, writing)
            _take_over(os.fstat(reading), writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_attribute(name: str, reading: int, writing: int) -> None:
    try:
        os.setxattr(writing, name, os.getxattr(reading, name))
    except OSError:
        pass  # a tmpfs has no place for `user.` attributes on older kernels


def _take_over(status: os.stat_result, target: int) -> None:
    """Gives `target` the owner and, after it, the mode, whose set-id bits a change of owner clears."""
    path = f"/proc/self/fd/{target}"  # an O_PATH descriptor takes neither fchown nor fchmod
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))
