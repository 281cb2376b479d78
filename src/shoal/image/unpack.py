"""Unpacking a layer's tar into a directory, safe against a hostile layer.

Runs in shoald's executor threads, as root. The target is a fresh directory that nobody else knows. Rules: every name
is cleaned first, and one that leads out of the root is an error; a directory is opened component by component with
O_NOFOLLOW, relative to its parent's descriptor, so that the kernel never follows a symlink; where a layer's own
symlink is a parent of a later entry, it is resolved inside the root by us, as Docker does.

Whiteouts become what overlayfs understands: `.wh.name` a character device 0/0, `.wh..wh..opq` the xattr
trusted.overlay.opaque. Directories get their attributes last, because what is put into them changes their times.
Source: OCI image-spec layer.md.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from shoal.errors import Internal, InvalidArgument, ShoalError
from shoal.image.merged import MergedView
from shoal.image.skeleton import SkeletonWriter
from shoal.image.tar.header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)
from shoal.image.tar.reader import TarReader, write_all
from shoal.image.trees import OVERLAY_OPAQUE, entry_path, is_whiteout, open_directory, remove_tree_at

WHITEOUT_PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
_AUFS_PREFIX = b".wh..wh."
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES_MAX = 48
_SYMLINKS_MAX = 40
_PATH_MAX = 4096
_ID_MAX = 2**32 - 2  # -1 would mean "leave unchanged" to chown
_TIME_MAX_NS = 2**62
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_THEIR_FAULT = frozenset(
    (
        errno.EEXIST,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EMLINK,
    )
)
# Xattrs by which overlayfs keeps its books: a layer must not forge them.
_FORBIDDEN_XATTRS = (b"trusted.overlay.", b"user.overlay.")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What unpacking found: the files' bytes, and whether the tree holds all file data for a rebuild."""

    size_bytes: int
    is_rebuildable: bool


@dataclass(frozen=True, slots=True)
class _Attributes:
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: dict[bytes, bytes] | None


class Unpacker:
    """Puts the entries of one layer under the directory `root`; use once, in a `with` block.

    `lower` shows the layers below: a directory that the archive only implies gets its attributes from there.
    """

    def __init__(self, root: str, lower: MergedView, skeleton: SkeletonWriter) -> None:
        self._root = root
        self._root_fd = open_directory(root)
        self._lower = lower
        self._skeleton = skeleton
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._pending: dict[bytes, _Attributes] = {}
        self._size = 0
        self._rebuildable = True

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_directories()
        os.close(self._root_fd)

    def unpack(self, reader: TarReader) -> Unpacked:
        """Unpack all entries of `reader`, and read the stream to its end.

        Raises: InvalidArgument for a malformed or hostile layer, Internal for a full disk. The directory is then
        in an undefined state: the caller deletes it.
        """
        self._inherit(b"")
        entry: TarEntry | None = None
        try:
            for entry in reader:
                self._place(entry, reader)
            entry = None
            reader.drain()
            self._apply_directories()
        except (OSError, OverflowError, ValueError) as error:
            raise explained(error, entry) from error
        return Unpacked(self._size, self._rebuildable)

    # -- entries ------------------------------------------------------------------------------------------------

    def _place(self, entry: TarEntry, reader: TarReader) -> None:
        """Create what `entry` describes."""
        path = clean_name(entry.name)
        if not path:
            if entry.kind != DIRECTORY:
                raise InvalidArgument("invalid layer entry", why="the root is not a directory")
            self._pending[b""] = self._attributes(entry)
            return
        parent, _, name = path.rpartition(b"/")
        if name.startswith(WHITEOUT_PREFIX):
            self._whiteout(parent, name)
            return
        if not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
            raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(path)}` has owner {entry.uid}:{entry.gid}")
        dir_fd = self._directory(parent)
        if entry.kind == REGULAR:
            self._regular(entry, reader, dir_fd, parent, name)
        elif entry.kind == DIRECTORY:
            self._make_directory(path, dir_fd, name)
            self._pending[path] = self._attributes(entry)
        else:
            try:
                self._special(entry, dir_fd, name)
            except FileExistsError:
                self._displace(dir_fd, path, name)
                self._special(entry, dir_fd, name)
            if entry.kind != HARD_LINK:
                self._apply_special(entry, dir_fd, name)

    def _regular(self, entry: TarEntry, reader: TarReader, dir_fd: int, parent: bytes, name: bytes) -> None:
        path = parent + b"/" + name if parent else name
        try:
            fd = os.open(name, _FILE_FLAGS, 0o600, dir_fd=dir_fd)
        except FileExistsError:
            self._displace(dir_fd, path, name)
            fd = os.open(name, _FILE_FLAGS, 0o600, dir_fd=dir_fd)
        try:
            if entry.sparse is not None:
                self._sparse(entry, reader, fd)
            elif entry.size:
                reader.copy_data(fd)
                self._skeleton.file(path, entry.size)
            self._size += entry.size
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode & 0o7777)  # after the owner: chown clears the set-uid bit
            if entry.xattrs:  # after the owner: chown clears security.capability
                _set_xattrs(fd, entry.xattrs)
            time_ns = _clamped(entry.mtime_ns)
            os.utime(fd, ns=(time_ns, time_ns))
        finally:
            os.close(fd)

    def _sparse(self, entry: TarEntry, reader: TarReader, fd: int) -> None:
        """Write the stored parts of a sparse file to their places."""
        self._rebuildable = False
        os.ftruncate(fd, entry.size)
        parts = iter(entry.sparse or ())
        left = 0
        for chunk in reader.data():
            piece = chunk
            while piece:
                if not left:
                    offset, left = next(parts)
                    os.lseek(fd, offset, os.SEEK_SET)
                    continue
                write_all(fd, piece[:left])
                left, piece = max(0, left - len(piece)), piece[left:]

    def _special(self, entry: TarEntry, dir_fd: int, name: bytes) -> None:
        """Create a link, device node or FIFO. Raises: FileExistsError."""
        if entry.kind == SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=dir_fd)
        elif entry.kind == HARD_LINK:
            target = clean_name(entry.linkname)
            target_parent, _, target_name = target.rpartition(b"/")
            # A copy: looking the target up may close `dir_fd`, if many directories are open.
            here = os.dup(dir_fd)
            try:
                there = self._directory(target_parent, create=False)
                os.link(target_name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
            finally:
                os.close(here)
        elif entry.kind == FIFO:
            os.mkfifo(name, 0o600, dir_fd=dir_fd)
        elif entry.kind in (CHARACTER, BLOCK_DEVICE):
            kind = stat.S_IFCHR if entry.kind == CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=dir_fd)

    def _apply_special(self, entry: TarEntry, dir_fd: int, name: bytes) -> None:
        """Owner, mode, xattrs and time of what `_special` has just made."""
        os.chown(name, entry.uid, entry.gid, dir_fd=dir_fd, follow_symlinks=False)
        if entry.kind != SYMLINK:
            os.chmod(name, entry.mode & 0o7777, dir_fd=dir_fd)
        if entry.xattrs:
            _set_xattrs(entry_path(dir_fd, name), entry.xattrs)
        time_ns = _clamped(entry.mtime_ns)
        os.utime(name, ns=(time_ns, time_ns), dir_fd=dir_fd, follow_symlinks=False)

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        """Hide a lower entry (`.wh.name`), or all lower entries of the directory (`.wh..wh..opq`)."""
        dir_fd = self._directory(parent)
        if name == OPAQUE_NAME:
            os.setxattr(dir_fd, OVERLAY_OPAQUE, b"y")
            return
        if name.startswith(_AUFS_PREFIX):
            return  # the books of the file system that invented this format
        hidden = name[len(WHITEOUT_PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(name)}` is not a whiteout")
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dir_fd)
        except FileExistsError:
            # A whiteout is about lower layers only, so that this layer's own entry stays. A directory of it
            # must not merge with the hidden one.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=dir_fd, follow_symlinks=False).st_mode):
                fd = open_directory(hidden, dir_fd)
                try:
                    os.setxattr(fd, OVERLAY_OPAQUE, b"y")
                finally:
                    os.close(fd)

    # -- directories --------------------------------------------------------------------------------------------

    def _directory(self, path: bytes, *, create: bool = True) -> int:
        """A descriptor of the directory `path`, made if missing. It stays ours, and valid until the next call.

        Raises: InvalidArgument if a component is a file; FileNotFoundError if not `create`.
        """
        if not path:
            return self._root_fd
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        # From the longest known ancestor down, not by recursion: a path may have 2,000 components.
        parts = path.split(b"/")
        depth = len(parts) - 1
        while depth and b"/".join(parts[:depth]) not in self._open:
            depth -= 1
        fd = self._open[b"/".join(parts[:depth])] if depth else self._root_fd
        for index in range(depth, len(parts)):
            here = b"/".join(parts[: index + 1])
            fd = self._remember(here, self._enter(fd, here, parts[index], create=create))
        return fd

    def _enter(self, dir_fd: int, path: bytes, name: bytes, *, create: bool) -> int:
        """A new descriptor of the directory `name` in `dir_fd`, whose whole path is `path`."""
        try:
            return open_directory(name, dir_fd)
        except FileNotFoundError:
            if not create:
                raise
            self._make_directory(path, dir_fd, name)
            self._inherit(path)
            return open_directory(name, dir_fd)
        except NotADirectoryError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._rebuildable = False  # the skeleton names files by paths without symlinks
                return os.dup(self._directory(self._resolve(path), create=create))
            if is_whiteout(status) and create:
                self._make_directory(path, dir_fd, name)
                return open_directory(name, dir_fd)
            raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(path)}` is not a directory") from None

    def _resolve(self, path: bytes) -> bytes:
        """`path` with this layer's symlinks resolved inside the root: the result meets none on its way."""
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
            try:
                target = os.readlink(part, dir_fd=self._directory(b"/".join(done)))
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT):  # not a symlink; not there yet
                    raise
                done.append(part)
                continue
            links += 1
            if links > _SYMLINKS_MAX:
                raise InvalidArgument("invalid layer entry", why=f"too many symbolic links in `{os.fsdecode(path)}`")
            done = [] if target.startswith(b"/") else done
            pending.extend(reversed(target.split(b"/")))
        return b"/".join(done)

    def _make_directory(self, path: bytes, dir_fd: int, name: bytes) -> None:
        """Make the directory unless it is one already; what else has its name gives way."""
        try:
            os.mkdir(name, 0o700, dir_fd=dir_fd)
            return
        except FileExistsError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                return
        self._displace(dir_fd, path, name)
        os.mkdir(name, 0o700, dir_fd=dir_fd)
        if is_whiteout(status):  # deleted and made anew: it must not merge with the lower directory
            fd = open_directory(name, dir_fd)
            try:
                os.setxattr(fd, OVERLAY_OPAQUE, b"y")
            finally:
                os.close(fd)

    def _displace(self, dir_fd: int, path: bytes, name: bytes) -> None:
        """Delete an earlier entry of this layer whose place a later one takes."""
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode) and status.st_size:
            self._rebuildable = False
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=dir_fd)
            if stat.S_ISLNK(status.st_mode):
                self._close_directories(keep=dir_fd)  # some may have been reached through it
            return
        self._rebuildable = False
        remove_tree_at(dir_fd, name)
        self._close_directories(keep=dir_fd)
        below = path + b"/"
        self._pending = {p: a for p, a in self._pending.items() if p != path and not p.startswith(below)}

    def _inherit(self, path: bytes) -> None:
        """Give a directory that the archive implies the attributes of the lower one, or root's with mode 0755."""
        found = self._lower.find(path)
        if found is None or not stat.S_ISDIR(found[1].st_mode):
            self._pending.setdefault(path, _Attributes(0o755, 0, 0, 0, None))
            return
        real, status = found
        names = [os.fsencode(name) for name in os.listxattr(real)]
        xattrs = {name: os.getxattr(real, name) for name in names if not name.startswith(_FORBIDDEN_XATTRS)}
        self._pending[path] = _Attributes(
            stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, xattrs
        )

    def _attributes(self, entry: TarEntry) -> _Attributes:
        return _Attributes(entry.mode & 0o7777, entry.uid, entry.gid, _clamped(entry.mtime_ns), entry.xattrs)

    def _apply_directories(self) -> None:
        """Set the attributes of all directories, children first: writing a child would change its parent's time."""
        for path, attributes in sorted(self._pending.items(), reverse=True):
            fd = self._directory(path, create=False)
            os.fchown(fd, attributes.uid, attributes.gid)
            os.fchmod(fd, attributes.mode)
            if attributes.xattrs:
                _set_xattrs(fd, attributes.xattrs)
            os.utime(fd, ns=(attributes.mtime_ns, attributes.mtime_ns))

    def _remember(self, path: bytes, fd: int) -> int:
        self._open[path] = fd
        if len(self._open) > _OPEN_DIRECTORIES_MAX:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def _close_directories(self, keep: int = -1) -> None:
        kept: OrderedDict[bytes, int] = OrderedDict()
        for path, fd in self._open.items():
            if fd == keep:
                kept[path] = fd
            else:
                os.close(fd)
        self._open = kept


def clean_name(name: bytes) -> bytes:
    """The path of a tar entry relative to the root, lexically cleaned: no `.`, no `..`, no leading or double slash.

    Raises: InvalidArgument for a name that leads out of the root, is empty of meaning, or too long.
    """
    framed = b"/" + name + b"/"
    if b"/./" not in framed and b"/../" not in framed and b"//" not in name and len(name) < _PATH_MAX:
        return name.strip(b"/")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            # Above an absolute name's root is the root; a relative name must not leave.
            if not parts and not name.startswith(b"/"):
                raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(name)}` is outside of the root")
            parts = parts[:-1]
        elif part not in (b"", b"."):
            parts.append(part)
    path = b"/".join(parts)
    if len(path) >= _PATH_MAX:
        raise InvalidArgument("invalid layer entry", why="a name longer than 4095 bytes")
    return path


def _set_xattrs(target: int | bytes, xattrs: dict[bytes, bytes]) -> None:
    """Set those xattrs that a layer may carry; one that the file system does not know is left out, as Docker does."""
    for name, value in xattrs.items():
        if name.startswith(_FORBIDDEN_XATTRS):
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise


def _clamped(time_ns: int) -> int:
    return max(-_TIME_MAX_NS, min(_TIME_MAX_NS, time_ns))


def explained(error: Exception, entry: TarEntry | None = None, *, doing: str = "unpack layer") -> ShoalError:
    """The problem that a system call, failed while `doing` something, at `entry` if given, means to the user."""
    place = f"`{os.fsdecode(entry.name)}`: " if entry is not None else ""
    if not isinstance(error, OSError):
        return InvalidArgument("invalid layer entry", why=f"{place}{error}")
    number = error.errno or 0
    if number in _FULL:
        return Internal(
            f"failed to {doing}",
            why=f"{place}no space left on device",
            fix="free space on the file system of the data root, e.g. with `docker image prune`",
        )
    if entry is not None and (number in _THEIR_FAULT or (number == errno.EPERM and entry.kind == HARD_LINK)):
        return InvalidArgument("invalid layer entry", why=f"{place}{os.strerror(number)}")
    return Internal(f"failed to {doing}", why=f"{place}{os.strerror(number)}")
