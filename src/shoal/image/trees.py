"""Walking and deleting directory trees by descriptor: no name is resolved twice, no symlink followed.

The trees may be a running container's, whose processes rename and replace entries while we look.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from typing import NamedTuple

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH_MAX = 128  # of nested open descriptors while deleting


class TreeItem(NamedTuple):
    """One entry met on a walk: its path below the tree's root, the open directory it is in, its name, its lstat."""

    path: bytes
    parent_fd: int
    name: bytes
    status: os.stat_result


def open_directory(name: bytes | str, dir_fd: int | None = None) -> int:
    """A descriptor of the directory `name`; the caller closes it. Raises: OSError, ENOTDIR for a symlink."""
    return os.open(name, _DIRECTORY_FLAGS, dir_fd=dir_fd)


def walk_tree(root_fd: int, *, skip: Container[int] = ()) -> Iterator[TreeItem]:
    """Every entry below `root_fd`, parents before children, names sorted; entries that vanish meanwhile are left out.

    Directories on the devices in `skip` (`st_dev`) are not entered, the first one included.

    An item's `parent_fd` is valid until the next item is asked for.
    """
    if skip and os.fstat(root_fd).st_dev in skip:
        return
    stack: list[tuple[int, bytes, list[bytes]]] = [(os.dup(root_fd), b"", _names(root_fd))]
    try:
        while stack:
            fd, prefix, names = stack[-1]
            if not names:
                os.close(stack.pop()[0])
                continue
            name = names.pop()
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            path = prefix + name
            yield TreeItem(path, fd, name, status)
            if stat.S_ISDIR(status.st_mode):
                try:
                    child = open_directory(name, fd)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if skip and os.fstat(child).st_dev in skip:
                    os.close(child)
                    continue
                stack.append((child, path + b"/", _names(child)))
    finally:
        for fd, _, _ in stack:
            os.close(fd)


def remove_tree(path: str) -> None:
    """Delete `path` and all below it, however deep; nothing happens if it doesn't exist.

    Blocks as long as it takes. Raises: OSError.
    """
    parent, name = os.path.split(path)
    parent_fd = open_directory(parent)
    try:
        remove_tree_at(parent_fd, os.fsencode(name))
    finally:
        os.close(parent_fd)


def remove_tree_at(parent_fd: int, name: bytes) -> None:
    """As `remove_tree`, for the entry `name` of an open directory."""
    try:
        root_fd = open_directory(name, parent_fd)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent_fd)
        return
    try:
        # What is too deep is moved up to the root and met there again.
        while _empty(root_fd, root_fd, 0):
            pass
    finally:
        os.close(root_fd)
    os.rmdir(name, dir_fd=parent_fd)


def entry_path(dir_fd: int, name: bytes) -> bytes:
    """A path to `name` in the open directory, for the system calls (l*xattr) that take no directory descriptor."""
    return b"/proc/self/fd/%d/%s" % (dir_fd, name)


def _names(fd: int) -> list[bytes]:
    """The names in a directory, last first (so that `pop` takes them in order)."""
    return sorted((os.fsencode(name) for name in os.listdir(fd)), reverse=True)


def _empty(fd: int, root_fd: int, depth: int) -> bool:
    """Delete what is in `fd`; returns whether something was moved up to `root_fd` and is left to do."""
    moved = False
    with os.scandir(fd) as entries:
        items = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, directory in items:
        if not directory:
            os.unlink(name, dir_fd=fd)
        elif depth >= _DEPTH_MAX:
            os.rename(name, f".deep-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=root_fd)
            moved = True
        else:
            child = os.open(name, _DIRECTORY_FLAGS, dir_fd=fd)
            try:
                moved = _empty(child, root_fd, depth + 1) or moved
            finally:
                os.close(child)
            os.rmdir(name, dir_fd=fd)
    return moved
