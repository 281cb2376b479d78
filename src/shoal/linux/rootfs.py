"""Work inside a container's root file system, whose content is hostile.

Used by the child that sets up a container, and by shoald for copies into it. Every path is resolved with the
root file system as "/": a symbolic link in an image, absolute or with any number of "..", leads to a place
inside. The kernel does it (openat2(2), Linux 5.6); where it can't, a walk over O_PATH descriptors does,
component by component, which a concurrent rename can't lead out either, because ".." goes back to a
descriptor that was passed before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from shoal.errors import Forbidden, SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.libc import AT_FDCWD, SYS_openat2, path_bytes, syscall
from shoal.linux.mounts import (
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_REC,
    MS_SLAVE,
    bind_mount,
    mount,
    pivot_root,
    umount2,
)

# include/uapi/linux/openat2.h
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_PLACE = os.O_PATH | os.O_CLOEXEC
NULL_DEVICE = os.makedev(1, 3)
_NOFOLLOW_PLACE = _PLACE | os.O_NOFOLLOW
# As the kernel counts them, path_resolution(7).
_SYMLINKS_MAX = 40
# openat2 answers EAGAIN when a rename raced with a ".."; it never lasts.
_RACES_MAX = 64


class open_how(ctypes.Structure):  # noqa: N801 — the kernel's name
    """struct open_how, include/uapi/linux/openat2.h."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(dirfd: FdLike, path: str, flags: int, *, mode: int = 0, resolve: int = 0) -> Fd:
    """The file at `path` under `dirfd`, opened close-on-exec by the rules `resolve`. openat2(2), Linux 5.6.

    Raises: SyscallError.
    """
    how = open_how(flags | os.O_CLOEXEC, mode, resolve)
    # SAFETY: `how` outlives the call.
    arguments = (dirfd, path_bytes(path), ctypes.byref(how), ctypes.sizeof(how))
    for _ in range(_RACES_MAX):
        try:
            return Fd(syscall(SYS_openat2, "openat2", path, *arguments))
        except SyscallError as error:
            if error.errno != errno.EAGAIN:
                raise
    raise SyscallError("openat2", path, errno.EAGAIN)


def open_in_root(root_fd: FdLike, path: str, flags: int, mode: int = 0) -> Fd:
    """The file at `path` inside the root file system, close-on-exec, owned by the caller.

    `path` may start with "/" or not. Links of /proc that jump elsewhere are refused (ELOOP).

    Raises: SyscallError.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    try:
        return openat2(root_fd, path or ".", flags, mode=mode, resolve=resolve)
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
    return open_by_walk(root_fd, path, flags, mode)


def open_by_walk(root_fd: FdLike, path: str, flags: int, mode: int = 0) -> Fd:
    """open_in_root without openat2: for kernels before 5.6 and for seccomp filters that hide it.

    Raises: SyscallError.
    """
    follow_last = not flags & os.O_NOFOLLOW and not (flags & os.O_CREAT and flags & os.O_EXCL)
    walk = _Walk(root_fd, path)
    with walk:
        name = walk.to_parent(follow_last=follow_last, may_miss=bool(flags & os.O_CREAT))
        # The name is no symbolic link now, or none that is followed; O_NOFOLLOW keeps it so.
        return walk.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def mkdir_in_root(root_fd: FdLike, path: str, mode: int = 0o755) -> Fd:
    """An O_PATH descriptor of the directory `path` inside the root, made with its parents if missing.

    New directories get exactly `mode`, whatever the umask. Dangling symbolic links on the way are followed,
    and what they name is made inside the root.

    Raises: SyscallError (ENOTDIR: a file is in the way).
    """
    try:
        return open_in_root(root_fd, path, _PLACE | os.O_DIRECTORY)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
    made = _mkdir_last(root_fd, path, mode)
    if made is not None:
        return made
    with _Walk(root_fd, path, make_mode=mode) as walk:
        return walk.to_end()


def _mkdir_last(root_fd: FdLike, path: str, mode: int) -> Fd | None:
    """The common case, without a walk: only the last component is missing. None: it is not that simple."""
    directory, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        return None
    umask = os.umask(0)  # so that the directory has its mode at once
    try:
        with open_in_root(root_fd, directory, _PLACE | os.O_DIRECTORY) as parent:
            os.mkdir(name, mode, dir_fd=parent.fileno())
            return Fd(os.open(name, _NOFOLLOW_PLACE | os.O_DIRECTORY, dir_fd=parent.fileno()))
    except (SyscallError, OSError):
        return None  # a missing parent, a dangling link, a read-only place: the walk finds out, and says so
    finally:
        os.umask(umask)


def create_file_in_root(root_fd: FdLike, path: str, mode: int = 0o644) -> Fd:
    """An O_PATH descriptor of the file `path` inside the root, made empty, with its parents, if missing.

    It is meant as the place of a bind mount. A new file gets exactly `mode`, new directories 0755.

    Raises: SyscallError (EISDIR: it is a directory).
    """
    try:
        place = open_in_root(root_fd, path, _PLACE)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        with _Walk(root_fd, path, make_mode=0o755) as walk:
            name = walk.to_parent(follow_last=True, may_miss=True)
            place = walk.make_file(name, mode)
    if stat.S_ISDIR(os.fstat(place.fileno()).st_mode):
        place.close()
        raise SyscallError("open", path, errno.EISDIR)
    return place


def symlink_in_root(root_fd: FdLike, target: str, path: str) -> None:
    """Make the symbolic link `path` inside the root, which holds `target`; an existing file stays as it is.

    Raises: SyscallError.
    """
    directory, _, name = path.rstrip("/").rpartition("/")
    with mkdir_in_root(root_fd, directory) as parent:
        try:
            os.symlink(target, name, dir_fd=parent.fileno())
        except FileExistsError:
            pass  # the image brings its own
        except OSError as error:
            raise SyscallError("symlinkat", path, error.errno or 0) from None


class _Walk:
    """A walk from a root through `path`, which holds the descriptors of all directories on its way.

    With `make_mode` missing directories are made. Invariant: `_passed` never is empty, and each of its
    members was reached from the one before without following a link, so ".." is a pop, and can't leave the
    root.
    """

    __slots__ = ("_links", "_make_mode", "_passed", "_path", "_rest")

    def __init__(self, root_fd: FdLike, path: str, make_mode: int | None = None) -> None:
        root = root_fd if isinstance(root_fd, int) else root_fd.fileno()
        self._path = path
        self._make_mode = make_mode
        self._links = 0
        self._passed = [self._opened(".", _PLACE | os.O_DIRECTORY, 0, root)]
        self._rest = _components(path)

    def __enter__(self) -> _Walk:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._passed:
            fd.close()

    def to_end(self) -> Fd:
        """Walk the whole path, the last component too; its descriptor, owned by the caller."""
        while self._rest:
            self._step(self._rest.pop(0))
        return self._passed.pop()

    def to_parent(self, *, follow_last: bool, may_miss: bool) -> str:
        """Walk to the directory of the last component; its name there ("." when that is passed already)."""
        while self._rest:
            name = self._rest.pop(0)
            if self._rest or name == "..":
                self._step(name)
            elif not follow_last or not self._is_link(name, may_miss=may_miss):
                return name
            else:
                self._follow(name)
        return "."

    def open(self, name: str, flags: int, mode: int) -> Fd:
        """Open `name` in the directory that the walk has reached."""
        return self._opened(name, flags, mode, self._passed[-1].fileno())

    def make_file(self, name: str, mode: int) -> Fd:
        """Make the file `name` in the directory that the walk has reached; an O_PATH descriptor of it."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with self.open(name, flags, mode) as made:
                os.fchmod(made.fileno(), mode)
        except SyscallError as error:
            if error.errno != errno.EEXIST:  # someone else made it meanwhile, as good
                raise
        return self.open(name, _NOFOLLOW_PLACE, 0)

    def _opened(self, name: str, flags: int, mode: int, directory: int) -> Fd:
        try:
            return Fd(os.open(name, flags, mode, dir_fd=directory))
        except OSError as error:
            raise SyscallError("openat", self._path, error.errno or 0) from None

    def _step(self, name: str) -> None:
        """Enter the directory `name`, follow it if it is a link, go back if it is ".."."""
        if name == ".":
            return
        if name == "..":
            if len(self._passed) > 1:
                self._passed.pop().close()
            return
        try:
            place = self.open(name, _NOFOLLOW_PLACE, 0)
        except SyscallError as error:
            if error.errno != errno.ENOENT or self._make_mode is None:
                raise
            place = self._make_directory(name, self._make_mode)
        kind = os.fstat(place.fileno()).st_mode
        if stat.S_ISDIR(kind):
            self._passed.append(place)
            return
        place.close()
        if not stat.S_ISLNK(kind):
            raise SyscallError("openat", self._path, errno.ENOTDIR)
        self._follow(name)

    def _make_directory(self, name: str, mode: int) -> Fd:
        directory = self._passed[-1].fileno()
        try:
            os.mkdir(name, mode, dir_fd=directory)
        except FileExistsError:
            return self.open(name, _NOFOLLOW_PLACE, 0)
        except OSError as error:
            raise SyscallError("mkdirat", self._path, error.errno or 0) from None
        with self.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, 0) as made:
            if stat.S_IMODE(os.fstat(made.fileno()).st_mode) != mode:
                os.fchmod(made.fileno(), mode)  # the umask took bits away
        return self.open(name, _NOFOLLOW_PLACE, 0)

    def _is_link(self, name: str, *, may_miss: bool) -> bool:
        try:
            with self.open(name, _NOFOLLOW_PLACE, 0) as place:
                return stat.S_ISLNK(os.fstat(place.fileno()).st_mode)
        except SyscallError as error:
            if error.errno == errno.ENOENT and may_miss:
                return False
            raise

    def _follow(self, name: str) -> None:
        """Put the content of the link `name` in front of what is left to walk."""
        self._links += 1
        if self._links > _SYMLINKS_MAX:
            raise SyscallError("openat", self._path, errno.ELOOP)
        directory = self._passed[-1].fileno()
        try:
            # Without a path, and so on the very link: a magic link of /proc would read as "socket:[1]" or as
            # a path of the host, and is then looked up by that name inside the root, which is harmless.
            target = os.readlink(name, dir_fd=directory)
        except OSError as error:
            raise SyscallError("readlinkat", self._path, error.errno or 0) from None
        if target.startswith("/"):
            while len(self._passed) > 1:
                self._passed.pop().close()
        self._rest = _components(target) + self._rest


def _components(path: str) -> list[str]:
    """The names in `path`, and a "." behind the last one if that must be a directory: "a/" and "a/."."""
    names = [part for part in path.split("/") if part not in ("", ".")]
    return [*names, "."] if names and path.endswith(("/", "/.")) else names


def pivot_into(root_fd: FdLike) -> None:
    """Make the mount behind `root_fd` the root of this mount namespace, unmount the old one, and go to "/".

    `root_fd` is the root of a mount of this namespace. pivot_root(2) §NOTES (`pivot_root(".", ".")`).

    Raises: SyscallError (EBUSY, EINVAL: `root_fd` is no mount of its own, or the present root is the initramfs).
    """
    with Fd(os.open("/", _PLACE | os.O_DIRECTORY)) as old_root:
        try:
            os.fchdir(root_fd if isinstance(root_fd, int) else root_fd.fileno())
        except OSError as error:
            raise SyscallError("fchdir", "", error.errno or 0) from None
        pivot_root(".", ".")
        # The old root now lies on top of the new one. Go to it by its descriptor, because the directory we
        # are in is the new root; and cut its propagation, so that unmounting it reaches no other namespace.
        os.fchdir(old_root.fileno())
        mount("", ".", "", MS_SLAVE | MS_REC)
        umount2(".", MNT_DETACH)
    os.chdir("/")


def mask_path(path: str, *, like: Fd | None = None) -> Fd | None:
    """Hide a file behind /dev/null, a directory behind an empty read-only tmpfs; a missing one is ignored.

    Called behind pivot_into. The result is the tmpfs if one was made: as `like` of further calls it hides further
    directories, so that a container costs one such file system and not five. OCI runtime-spec §Masked paths.

    Raises: SyscallError; Forbidden when the container's /dev/null is something else.
    """
    place = _place_or_none(path)
    if place is None:
        return None
    with place:
        if not stat.S_ISDIR(os.fstat(place.fileno()).st_mode):
            with open_null_device(os.O_PATH) as null:
                bind_mount(null, place, recursive=False, object=path).close()
            return None
        if like is not None:
            bind_mount(like, place, recursive=False, object=path).close()
            return None
        return mount_filesystem(
            "tmpfs",
            place,
            options=["size=0", "nr_inodes=1", "mode=755"],
            attrs=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
            object=path,
        )


def open_null_device(flags: int) -> Fd:
    """The container's /dev/null, opened with `flags`, owned by the caller; made sure to be the null device.

    An image whose /dev is not ours could have a link there, to /proc/sys/kernel/core_pattern for one, and a mask made
    of it would become a fresh, writable mount of that (CVE-2025-31133). It is looked at before it is opened, because
    opening another device, or a FIFO, has effects.

    Raises: SyscallError; Forbidden when it is something else.
    """
    try:
        with Fd(os.open("/dev/null", _NOFOLLOW_PLACE)) as place:
            _check_null(place)
            if flags & os.O_PATH:
                return place.dup()
        opened = Fd(os.open("/dev/null", flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", "/dev/null", error.errno or 0) from None
    try:
        _check_null(opened)
    except Forbidden:
        opened.close()
        raise
    return opened


def _check_null(fd: Fd) -> None:
    status = os.fstat(fd.fileno())
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != NULL_DEVICE:
        raise Forbidden(
            "the container's /dev/null is not the null device",
            fix="do not mount over /dev, and remove /dev/null from the image",
        )


def readonly_path(path: str) -> None:
    """Make `path` and all that is mounted below it read-only; a missing one is ignored.

    Called behind pivot_into. OCI runtime-spec §Readonly paths.

    Raises: SyscallError.
    """
    place = _place_or_none(path)
    if place is None:
        return
    with place:
        bind_mount(place, place, recursive=True, readonly="recursive", object=path).close()


def _place_or_none(path: str) -> Fd | None:
    """`path` in our own root as an O_PATH descriptor; None when there is no such file."""
    try:
        return openat2(AT_FDCWD, path, os.O_PATH, resolve=RESOLVE_NO_MAGICLINKS)
    except SyscallError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno != errno.ENOSYS:
            raise
    try:
        return Fd(os.open(path, _PLACE))
    except OSError as failure:
        if failure.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise SyscallError("open", path, failure.errno or 0) from None
