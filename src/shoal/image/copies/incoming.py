"""From a tar stream to files in a container's root, which may be a running container's that works against us.

The directory of each entry is opened inside the root by the kernel (openat2(2), RESOLVE_IN_ROOT); everything else is
done relative to that descriptor, or to one of the very file: a link that the container puts in our way is replaced, or
leads to a place inside. Unlike a layer's, these entries meet what is there already, by Docker's rules.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from shoal.errors import Forbidden, Internal, InvalidArgument, ShoalError, SyscallError
from shoal.image.attributes import Attributes
from shoal.image.copies.places import clean_path, explained_path
from shoal.image.entry_names import clean_name
from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.reader import TarReader
from shoal.image.trees import open_directory, remove_tree_at
from shoal.linux.fd import Fd
from shoal.linux.rootfs import mkdir_in_root, open_in_root

_PLACE = os.O_PATH | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES_MAX = 32
_ID_MAX = 2**32 - 2  # -1 would mean "leave unchanged" to chown
_NODES = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
# What the container did to an entry that we had just made: its matter, not ours.
_TAKEN_AWAY = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


@dataclass(frozen=True, slots=True)
class Rules:
    """How entries meet what is there. Docker API v1.50 PutContainerArchive.

    `keep_kinds`: no directory is replaced by something else, nor the other way round. `owner` (uid, gid) takes the
    place of the owners that the archive names.
    """

    keep_kinds: bool = False
    owner: tuple[int, int] | None = None


class Extraction:
    """Puts the entries of one archive below the directory `path` of `root`; use once, in a `with` block.

    `container` names the container in errors. Raises: NotFound where there is no such path, InvalidArgument where it is
    no directory, Forbidden where it is read-only.
    """

    def __init__(self, root: Fd, path: str, container: str, rules: Rules) -> None:
        self._root = root
        self._path = clean_path(path)[0]
        self._rules = rules
        self._open: OrderedDict[bytes, Fd] = OrderedDict()
        self._times: dict[bytes, int] = {}
        try:
            self._target = open_in_root(root, self._path, _PLACE)
        except SyscallError as error:
            raise explained_path(error, path, container) from None
        try:
            self._check_target()
        except BaseException:
            self._target.close()
            raise

    def _check_target(self) -> None:
        if not stat.S_ISDIR(os.fstat(self._target.fileno()).st_mode):
            raise InvalidArgument("extraction point is not a directory")
        if os.fstatvfs(self._target.fileno()).f_flag & os.ST_RDONLY:
            is_root = os.fstatvfs(self._root.fileno()).f_flag & os.ST_RDONLY
            raise Forbidden(
                "container rootfs is marked read-only" if is_root else "mounted volume is marked read-only",
                fix="copy into a writable volume",
            )

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_directories()
        self._target.close()

    def extract(self, reader: TarReader) -> None:
        """Put every entry of `reader` in its place. What was put before an error stays, as with tar.

        Raises: InvalidArgument for a malformed archive, or one whose entries lead out; Forbidden, Internal.
        """
        entry: TarEntry | None = None
        try:
            for entry in reader:
                self._place(entry, reader)
            entry = None
            self._set_times()
        except (OSError, OverflowError, ValueError, SyscallError) as error:
            raise _explained(error, entry) from error

    def _place(self, entry: TarEntry, reader: TarReader) -> None:
        path = self._inside(entry.name)
        if not path:
            return  # the target itself: it stays as it is
        if self._rules.owner is not None:
            entry.uid, entry.gid = self._rules.owner
        if not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
            raise InvalidArgument("invalid tar entry", why=f"`{os.fsdecode(path)}` has owner {entry.uid}:{entry.gid}")
        parent, _, name = path.rpartition(b"/")
        directory = self._directory(parent)
        self._make_room(entry, directory, path, name)
        if entry.kind == DIRECTORY:
            self._make_directory(entry, directory, path, name)
        elif entry.kind == REGULAR:
            self._make_file(entry, reader, directory, name)
        elif entry.kind == HARD_LINK:
            self._make_link(entry, directory, name)
        else:
            self._make_node(entry, directory, name)

    def _inside(self, name: bytes) -> bytes:
        try:
            return clean_name(name)
        except InvalidArgument as error:
            raise InvalidArgument(f'"{os.fsdecode(name)}" is outside of "{self._path}"') from error

    def _directory(self, path: bytes) -> int:
        """A descriptor of a directory below the target, made with its parents if missing; valid until the next call."""
        if not path:
            return self._target.fileno()
        known = self._open.get(path)
        if known is None:
            known = self._open[path] = mkdir_in_root(self._root, self._absolute(path))
            if len(self._open) > _OPEN_DIRECTORIES_MAX:
                self._open.popitem(last=False)[1].close()
        else:
            self._open.move_to_end(path)
        return known.fileno()

    def _absolute(self, path: bytes) -> str:
        return self._path.rstrip("/") + "/" + os.fsdecode(path)

    def _make_room(self, entry: TarEntry, directory: int, path: bytes, name: bytes) -> None:
        """Take away what has the entry's name, unless both are directories."""
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        was, becomes = stat.S_ISDIR(there.st_mode), entry.kind == DIRECTORY
        if was and becomes:
            return
        if self._rules.keep_kinds and was != becomes:
            old, new = ("directory", "non-directory") if was else ("non-directory", "directory")
            raise InvalidArgument(f'cannot overwrite {old} "{self._absolute(path)}" with {new} "{self._path}"')
        remove_tree_at(directory, name)
        # Descriptors that were reached through it lead to what is gone.
        for known in [known for known in self._open if known == path or known.startswith(path + b"/")]:
            self._open.pop(known).close()

    def _make_directory(self, entry: TarEntry, directory: int, path: bytes, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            pass
        fd = open_directory(name, directory)
        try:
            Attributes.of(entry).apply(fd)
        finally:
            os.close(fd)
        self._times[path] = entry.mtime_ns

    def _make_file(self, entry: TarEntry, reader: TarReader, directory: int, name: bytes) -> None:
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
        try:
            if entry.sparse is not None:
                reader.copy_sparse(entry, fd)
            elif entry.size:
                reader.copy_data(fd)
            Attributes.of(entry).apply(fd)
        finally:
            os.close(fd)

    def _make_link(self, entry: TarEntry, directory: int, name: bytes) -> None:
        target = self._inside(entry.linkname)
        parent, _, target_name = target.rpartition(b"/")
        with open_in_root(self._root, self._absolute(parent), _PLACE | os.O_DIRECTORY) as there:
            os.link(target_name, name, src_dir_fd=there.fileno(), dst_dir_fd=directory, follow_symlinks=False)

    def _make_node(self, entry: TarEntry, directory: int, name: bytes) -> None:
        """A symbolic link (whatever it says: it is data), a device or a FIFO."""
        if entry.kind == SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=directory)
            kind = stat.S_IFLNK
        else:
            kind = _NODES[entry.kind]
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=directory)
        try:
            fd = os.open(name, _PLACE | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as error:
            if error.errno in _TAKEN_AWAY:
                return
            raise
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) == kind:
                Attributes.of(entry).apply_to_node(fd)
        finally:
            os.close(fd)

    def _set_times(self) -> None:
        """Set the directories' times at last, because what was put into them has changed them; children first."""
        for path, time_ns in sorted(self._times.items(), reverse=True):
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                with open_in_root(self._root, self._absolute(path), flags) as fd:
                    os.utime(fd.fileno(), ns=(time_ns, time_ns))
            except SyscallError as error:
                if error.errno not in _TAKEN_AWAY:
                    raise

    def _close_directories(self) -> None:
        for fd in self._open.values():
            fd.close()
        self._open.clear()


def _explained(error: Exception, entry: TarEntry | None) -> ShoalError:
    """What went wrong at `entry`, in the user's terms."""
    place = f"`{os.fsdecode(entry.name)}`: " if entry is not None else ""
    number = error.errno if isinstance(error, (OSError, SyscallError)) else None
    if number is None:
        return InvalidArgument("invalid tar entry", why=f"{place}{error}")
    why = f"{place}{os.strerror(number)}"
    if number == errno.EROFS:
        return Forbidden("mounted volume is marked read-only", why=why)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Internal("failed to copy into the container", why=why, fix="free space on the disk it lies on")
    return InvalidArgument("failed to copy into the container", why=why)
