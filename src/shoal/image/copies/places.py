"""Finding a path inside a container's root, whose content is hostile and may change while we look.

Every component is resolved by the kernel with the root as "/" (openat2(2), RESOLVE_IN_ROOT), and what was found is kept
as a descriptor: no path is looked up twice. Rules of Docker: `.` and `..` of the request go lexically, the last
component is not followed unless a slash or `/.` stands behind it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass

from shoal.errors import InvalidArgument, NotFound, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.rootfs import open_in_root

_PLACE = os.O_PATH | os.O_CLOEXEC
_LINKS_MAX = 40
# Go's os.FileMode, as the header X-Docker-Container-Path-Stat has it.
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


@dataclass(frozen=True, slots=True)
class Place:
    """One path of a request that exists: `name` in the open directory `parent`; a context manager that closes it.

    `title` is what an archive of it begins its names with: the last component as it was asked for, "." behind a `/.`,
    "/" for the root. `name` is "." where the path means a directory itself.
    """

    parent: Fd
    name: bytes
    title: str
    status: os.stat_result
    link_target: str = ""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.close()

    @property
    def go_mode(self) -> int:
        """The mode as Go's os.FileMode."""
        return go_mode(self.status.st_mode)


def go_mode(mode: int) -> int:
    """A file's mode with its kind as Go's os.FileMode has them. Pure."""
    bits = _GO_KINDS.get(stat.S_IFMT(mode), 0) | (mode & 0o777)
    return bits | sum(go for unix, go in _GO_BITS if mode & unix)


def clean_path(path: str) -> tuple[str, str]:
    """An absolute path without `.`, `..` and doubled slashes, and what stood behind it: "/", "/." or nothing. Pure."""
    cleaned = "/" + posixpath.normpath("/" + path).lstrip("/")
    if path.endswith("/.") or path == ".":
        return cleaned, "/."
    return cleaned, "/" if path.endswith("/") else ""


def find_place(root: Fd, path: str, container: str) -> Place:
    """What is at `path` inside `root`; `container` is its name for the error.

    Raises: NotFound `Could not find the file … in container …`, InvalidArgument for a path that can't be one.
    """
    if "\0" in path:
        raise InvalidArgument("invalid path", why="it contains a zero byte")
    cleaned, behind = clean_path(path)
    title = "." if behind == "/." else posixpath.basename(cleaned) or "/"
    try:
        if behind or cleaned == "/":
            directory = open_in_root(root, cleaned, _PLACE | os.O_DIRECTORY)
            return Place(directory, b".", title, os.fstat(directory.fileno()))
        parent = open_in_root(root, posixpath.dirname(cleaned), _PLACE | os.O_DIRECTORY)
    except SyscallError as error:
        raise explained_path(error, path, container) from None
    name = os.fsencode(posixpath.basename(cleaned))
    try:
        status = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
        target = _link_target(root, cleaned) if stat.S_ISLNK(status.st_mode) else ""
        return Place(parent, name, title, status, target)
    except OSError as error:
        parent.close()
        raise explained_path(SyscallError("lstat", path, error.errno or 0), path, container) from None


def explained_path(error: SyscallError, path: str, container: str) -> NotFound | InvalidArgument | SyscallError:
    """What a failed look at `path` means to the user."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not path.endswith(("/", "/.")):
        return NotFound(f"Could not find the file {path} in container {container}")
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in container {container}")
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL):
        return InvalidArgument(f"invalid path {path}", why=error.why)
    return error


def _link_target(root: Fd, path: str) -> str:
    """Where the symbolic link at the clean `path` leads in the end, as a clean path inside the root.

    What does not exist counts as no link, so that the target of a dangling one is told. Only a text for the client,
    who comes back with it: nothing is opened by it here.
    """
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        target = _readlink(root, "/" + "/".join([*done, part]))
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > _LINKS_MAX:
            break
        done = [] if target.startswith("/") else done
        pending.extend(reversed(target.split("/")))
    return "/" + "/".join(done)


def _readlink(root: Fd, path: str) -> str | None:
    """The content of the symbolic link at `path`, or None where there is none."""
    try:
        with open_in_root(root, path, _PLACE | os.O_NOFOLLOW) as place:
            return os.readlink("", dir_fd=place.fileno())
    except (OSError, SyscallError):
        return None
