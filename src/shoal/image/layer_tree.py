"""The directories of a layer while it is unpacked: opened safely, made when implied, given their attributes last.

The target is fresh and nobody else knows it. A directory is opened component by component with O_NOFOLLOW, relative to
its parent's descriptor, so that the kernel never follows a symlink; a symlink that the layer itself brought is resolved
inside the root by us. A few dozen descriptors are kept open, because archives come directory by directory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable

from shoal.errors import InvalidArgument
from shoal.image.attributes import Attributes
from shoal.image.merged import MergedView
from shoal.image.trees import entry_path, open_directory, remove_tree_at
from shoal.image.whiteouts import PRIVATE_XATTRS, is_whiteout, make_opaque

_OPEN_DIRECTORIES_MAX = 48
_SYMLINKS_MAX = 40


class LayerTree:
    """The tree under `root`, an empty directory; `close` at the end.

    `is_rebuildable` becomes false when something happens that keeps the tree from giving its archive back; `keep_whole`
    is called before.
    """

    def __init__(self, root: str, keep_whole: Callable[[], None]) -> None:
        self._keep_whole = keep_whole
        self._root_fd = open_directory(root)
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._pending: dict[bytes, Attributes | None] = {}  # None: to be inherited
        self.is_rebuildable = True

    def close(self) -> None:
        """Let go of the tree."""
        self.close_directories()
        os.close(self._root_fd)

    def lose(self) -> None:
        """To be called before the tree loses data of the archive, or takes it in another form. Raises: OSError."""
        self.is_rebuildable = False
        self._keep_whole()

    def set_attributes(self, path: bytes, attributes: Attributes) -> None:
        """Note what the directory `path` is to have in the end."""
        self._pending[path] = attributes

    def make_opaque(self, name: bytes, dir_fd: int) -> None:
        """Hide what the lower layers have in the directory `name`. Raises: OSError."""
        fd = open_directory(name, dir_fd)
        try:
            make_opaque(fd)
        finally:
            os.close(fd)

    def directory(self, path: bytes, *, create: bool = True) -> int:
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
            self.make_directory(path, dir_fd, name)
            self.inherit(path)
            return open_directory(name, dir_fd)
        except NotADirectoryError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self.lose()  # the skeleton names files by paths without symlinks
                return os.dup(self.directory(self._resolve(path), create=create))
            if create and is_whiteout(entry_path(dir_fd, name), status):
                self.make_directory(path, dir_fd, name)
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
                target = os.readlink(part, dir_fd=self.directory(b"/".join(done)))
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

    def make_directory(self, path: bytes, dir_fd: int, name: bytes) -> None:
        """Make the directory unless it is one already; what else has its name gives way."""
        try:
            os.mkdir(name, 0o700, dir_fd=dir_fd)
            return
        except FileExistsError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                return
        was_whiteout = is_whiteout(entry_path(dir_fd, name), status)
        self.displace(dir_fd, path, name)
        os.mkdir(name, 0o700, dir_fd=dir_fd)
        if was_whiteout:  # deleted and made anew: it must not merge with the lower directory
            self.make_opaque(name, dir_fd)

    def displace(self, dir_fd: int, path: bytes, name: bytes) -> None:
        """Delete an earlier entry of this layer whose place a later one takes."""
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode) and status.st_size:
            self.lose()
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=dir_fd)
            if stat.S_ISLNK(status.st_mode):
                self.close_directories(keep=dir_fd)  # some may have been reached through it
            return
        self.lose()
        remove_tree_at(dir_fd, name)
        self.close_directories(keep=dir_fd)
        below = path + b"/"
        self._pending = {p: a for p, a in self._pending.items() if p != path and not p.startswith(below)}

    def inherit(self, path: bytes) -> None:
        """Give a directory that the archive implies the attributes of the lower one, unless it brings its own."""
        self._pending.setdefault(path, None)

    def _inherited(self, path: bytes, lower: MergedView) -> Attributes:
        """What the directory `path` has in the layers below; root's with mode 0755 where it is new."""
        found = lower.find(path)
        if found is None or not stat.S_ISDIR(found[1].st_mode):
            return Attributes(0o755, 0, 0, 0, None)
        real, status = found
        names = [os.fsencode(name) for name in os.listxattr(real)]
        xattrs = {name: os.getxattr(real, name) for name in names if not name.startswith(PRIVATE_XATTRS)}
        return Attributes(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, xattrs)

    def apply_attributes(self, lower: MergedView) -> None:
        """Set the attributes of all directories, children first: writing a child would change its parent's time.

        `lower` shows the layers below.
        """
        for path, attributes in sorted(self._pending.items(), reverse=True):
            try:
                fd = self.directory(path, create=False)
            except (FileNotFoundError, InvalidArgument):
                continue  # reached through a symlink, which a later entry has replaced
            (attributes or self._inherited(path, lower)).apply(fd)

    def _remember(self, path: bytes, fd: int) -> int:
        self._open[path] = fd
        if len(self._open) > _OPEN_DIRECTORIES_MAX:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def close_directories(self, keep: int = -1) -> None:
        """Close those that are kept open, but for `keep`; each is opened anew when it is needed."""
        kept: OrderedDict[bytes, int] = OrderedDict()
        for path, fd in self._open.items():
            if fd == keep:
                kept[path] = fd
            else:
                os.close(fd)
        self._open = kept
