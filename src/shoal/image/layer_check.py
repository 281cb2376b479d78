"""Whether an unpacked layer is what its archive says: every file's bytes, and all that an entry has besides.

The archive is put together again from the tree, which proves the bytes by its digest; on its way each entry is held
against the file that it became. What lies in the tree without an entry is found, too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from shoal.image.attributes import Attributes
from shoal.image.entry_names import clean_name
from shoal.image.snapshot.diff import read_xattrs
from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.reader import TarReader
from shoal.image.trees import entry_path, open_directory, walk_tree
from shoal.image.unpack import OPAQUE_NAME, WHITEOUT_PREFIX
from shoal.image.whiteouts import PRIVATE_XATTRS, is_opaque, is_whiteout

_KINDS = {
    REGULAR: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    FIFO: stat.S_IFIFO,
}
_AUFS_PREFIX = b".wh..wh."


def deviations(tree: str, archive: Iterator[bytes]) -> list[str]:
    """What of the layer's `tree` is not as the `archive` says, as sentences; the archive is read to its end.

    Raises: what reading the archive raises, Internal where bytes are lost or changed; OSError.
    """
    expected: set[bytes] = set()
    wrong: dict[bytes, str] = {}
    root_fd = open_directory(tree)
    try:
        reader = TarReader(archive)
        for entry in reader:
            path = clean_name(entry.name)
            parent, slash, name = path.rpartition(b"/")
            if name == OPAQUE_NAME:
                path, problem = parent, _opaque_problem(root_fd, parent)
            elif name.startswith(_AUFS_PREFIX):
                continue  # the books of the file system that invented this format
            elif name.startswith(WHITEOUT_PREFIX):
                path = parent + slash + name[len(WHITEOUT_PREFIX) :]
                problem = _whiteout_problem(root_fd, path)
            else:
                problem = _problem(root_fd, path, entry)
            _expect(path, expected)
            # Of two entries of one path the later counts; a mark beside an entry says nothing about the entry.
            if not name.startswith(WHITEOUT_PREFIX):
                wrong.pop(path, None)
            if problem:
                wrong[path] = problem
        reader.drain()
        extra = [item.path for item in walk_tree(root_fd) if item.path not in expected]
    finally:
        os.close(root_fd)
    sentences = [f"/{os.fsdecode(path)} {problem}" for path, problem in sorted(wrong.items())]
    return [*sentences, *(f"/{os.fsdecode(path)} does not belong to it" for path in extra)]


def _expect(path: bytes, expected: set[bytes]) -> None:
    """`path` and the directories above it."""
    while path and path not in expected:
        expected.add(path)
        path = path.rpartition(b"/")[0]


def _opaque_problem(root_fd: int, path: bytes) -> str:
    return "" if is_opaque(entry_path(root_fd, path or b".")) else "no longer hides what lies below"


def _whiteout_problem(root_fd: int, path: bytes) -> str:
    try:
        status = os.stat(path, dir_fd=root_fd, follow_symlinks=False)
    except OSError:
        return "is no longer marked as deleted"
    # The layer may have an entry of its own of that name.
    is_fine = stat.S_ISDIR(status.st_mode) or is_whiteout(entry_path(root_fd, path), status)
    return "" if is_fine else "is no longer marked as deleted"


def _problem(root_fd: int, path: bytes, entry: TarEntry) -> str:
    """What is wrong with the file that an entry became, "" if nothing is."""
    try:
        status = os.stat(path or b".", dir_fd=root_fd, follow_symlinks=False)
    except OSError as error:
        return f"is gone ({os.strerror(error.errno or 0)})"
    if entry.kind == HARD_LINK:
        return _link_problem(root_fd, status, entry)
    if stat.S_IFMT(status.st_mode) != _KINDS[entry.kind]:
        return "is of another kind"
    wanted = Attributes.of(entry)
    if entry.kind != SYMLINK and stat.S_IMODE(status.st_mode) != wanted.mode:
        return f"has mode {stat.S_IMODE(status.st_mode):o} instead of {wanted.mode:o}"
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        return f"belongs to {status.st_uid}:{status.st_gid} instead of {wanted.uid}:{wanted.gid}"
    if entry.kind == SYMLINK and os.readlink(path, dir_fd=root_fd) != entry.linkname:
        return "points elsewhere"
    if entry.kind in (CHARACTER, BLOCK_DEVICE) and status.st_rdev != os.makedev(entry.major, entry.minor):
        return "is another device"
    if entry.kind == REGULAR and status.st_size != entry.size:
        return f"has {status.st_size} bytes instead of {entry.size}"
    if status.st_mtime_ns != wanted.mtime_ns:
        return "has another time"
    return _xattr_problem(root_fd, path, wanted)


def _link_problem(root_fd: int, status: os.stat_result, entry: TarEntry) -> str:
    try:
        target = os.stat(clean_name(entry.linkname), dir_fd=root_fd, follow_symlinks=False)
    except OSError:
        return "is no link any more"
    return "" if (target.st_dev, target.st_ino) == (status.st_dev, status.st_ino) else "is no link any more"


def _xattr_problem(root_fd: int, path: bytes, wanted: Attributes) -> str:
    """Of those that the entry has: one that the file system does not take was left out when it was unpacked."""
    found = read_xattrs(entry_path(root_fd, path or b"."))
    lost = [
        name
        for name, value in (wanted.xattrs or {}).items()
        if not name.startswith(PRIVATE_XATTRS) and name in found and found[name] != value
    ]
    added = [name for name in found if name not in (wanted.xattrs or {})]
    return f"has other xattrs: {os.fsdecode(b', '.join([*lost, *added]))}" if lost or added else ""
