"""The mount API: thin wrappers with the kernel's names, and the three ways in which shoal mounts things.

Used by the children that set up a container, and by shoald for what lives on the host. A mount is built
detached, gets its attributes there, and appears with one move_mount, so that nobody ever sees it half made.
Kernels before 5.12 (no mount_setattr) and 5.2 (no open_tree), and seccomp filters that hide these calls, get
mount(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from shoal.errors import SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_RECURSIVE,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_tree,
    SYS_pivot_root,
    SYS_umount2,
    path_bytes,
    syscall,
)
from shoal.linux.procfs import mount_points

# include/uapi/linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_SILENT = 32768
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_FORCE = 1
MNT_DETACH = 2
MNT_EXPIRE = 4
UMOUNT_NOFOLLOW = 8

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1

FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

# fsconfig copies at most this many bytes of a string, its NUL included: fs/fsopen.c, strndup_user(_value,
# 256).
FSCONFIG_STRING_MAX = 255

_ATTRIBUTE_FLAGS = (
    (MOUNT_ATTR_RDONLY, MS_RDONLY),
    (MOUNT_ATTR_NOSUID, MS_NOSUID),
    (MOUNT_ATTR_NODEV, MS_NODEV),
    (MOUNT_ATTR_NOEXEC, MS_NOEXEC),
    (MOUNT_ATTR_NOATIME, MS_NOATIME),
    (MOUNT_ATTR_STRICTATIME, MS_STRICTATIME),
    (MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
    (MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW),
)
# ST_* of statvfs -> MS_*: what a remount must repeat, because it sets the whole set of flags.
_STATVFS_FLAGS = (
    (os.ST_RDONLY, MS_RDONLY),
    (os.ST_NOSUID, MS_NOSUID),
    (os.ST_NODEV, MS_NODEV),
    (os.ST_NOEXEC, MS_NOEXEC),
    (os.ST_NOATIME, MS_NOATIME),
    (os.ST_NODIRATIME, MS_NODIRATIME),
)


class mount_attr(ctypes.Structure):  # noqa: N801 — the kernel's name
    """struct mount_attr, include/uapi/linux/mount.h."""

    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def open_tree(dirfd: FdLike, path: str, flags: int) -> Fd:
    """The mount at `path` as a descriptor; with OPEN_TREE_CLONE a detached copy. open_tree(2), Linux 5.2.

    Raises: SyscallError.
    """
    number = syscall(SYS_open_tree, "open_tree", path, dirfd, path_bytes(path), flags | OPEN_TREE_CLOEXEC)
    return Fd(number)


def move_mount(from_fd: FdLike, to_fd: FdLike, *, to_path: str = "", object: str = "") -> None:
    """Attach the mount behind `from_fd` at `to_path` under `to_fd` (at `to_fd` itself if empty). Linux 5.2.

    `object` names the target in an error. move_mount(2).

    Raises: SyscallError.
    """
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if to_path else MOVE_MOUNT_T_EMPTY_PATH)
    syscall(SYS_move_mount, "move_mount", object or to_path, from_fd, b"", to_fd, path_bytes(to_path), flags)


def fsopen(fstype: str) -> Fd:
    """A new configuration of a file system of type `fstype`, to be filled by fsconfig. fsopen(2), Linux 5.2.

    Raises: SyscallError (ENODEV: the kernel does not have this file system).
    """
    return Fd(syscall(SYS_fsopen, "fsopen", fstype, fstype.encode(), FSOPEN_CLOEXEC))


def fsconfig_set_string(fs_fd: FdLike, key: str, value: str) -> None:
    """Set option `key` to `value` (at most 255 bytes). fsconfig(2).

    Raises: SyscallError.
    """
    arguments = (fs_fd, FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
    syscall(SYS_fsconfig, "fsconfig", f"{key}={value}", *arguments)


def fsconfig_set_flag(fs_fd: FdLike, key: str) -> None:
    """Set the option `key`, which takes no value. fsconfig(2).

    Raises: SyscallError.
    """
    syscall(SYS_fsconfig, "fsconfig", key, fs_fd, FSCONFIG_SET_FLAG, key.encode(), None, 0)


def fsconfig_set_fd(fs_fd: FdLike, key: str, value: FdLike) -> None:
    """Set the option `key` to an open file. fsconfig(2).

    Raises: SyscallError.
    """
    syscall(SYS_fsconfig, "fsconfig", key, fs_fd, FSCONFIG_SET_FD, key.encode(), None, value)


def fsconfig_create(fs_fd: FdLike, object: str = "") -> None:
    """Make the superblock as configured. fsconfig(2).

    Raises: SyscallError, with the file system's own words where it has some.
    """
    try:
        syscall(SYS_fsconfig, "fsconfig", object, fs_fd, FSCONFIG_CMD_CREATE, None, None, 0)
    except SyscallError as error:
        raise with_log(fs_fd, error) from None


def fsmount(fs_fd: FdLike, attrs: int, object: str = "") -> Fd:
    """The configured file system as a detached mount with MOUNT_ATTR_* `attrs`. fsmount(2), Linux 5.2.

    Raises: SyscallError, with the file system's own words where it has some.
    """
    try:
        return Fd(syscall(SYS_fsmount, "fsmount", object, fs_fd, FSMOUNT_CLOEXEC, attrs))
    except SyscallError as error:
        raise with_log(fs_fd, error) from None


def with_log(fs_fd: FdLike, error: SyscallError) -> SyscallError:
    """`error` with what the file system wrote about it: a read of the fsopen descriptor gives one line."""
    words: list[str] = []
    number = _number(fs_fd)
    try:
        while len(words) < 8:
            line = os.read(number, 4096).decode(errors="replace").strip()
            if line[:2] in ("e ", "w "):  # error, warning; "i " is information
                words.append(line[2:])
    except OSError:
        pass  # ENODATA: no more lines
    if words:
        error.why = f"{error.why} ({'; '.join(words)})"
    return error


def mount_setattr(
    fd: FdLike,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
    recursive: bool = False,
    path: str = "",
) -> None:
    """Change the attributes of the mount behind `fd` (at `path` under it), of the whole tree if `recursive`.

    mount_setattr(2), Linux 5.12. A change of a tree happens to all of its mounts or to none.

    Raises: SyscallError.
    """
    attributes = mount_attr(attr_set, attr_clr, propagation, userns_fd)
    flags = (0 if path else AT_EMPTY_PATH) | (AT_RECURSIVE if recursive else 0)
    # SAFETY: `attributes` outlives the call.
    arguments = (fd, path_bytes(path), flags, ctypes.byref(attributes), ctypes.sizeof(attributes))
    syscall(SYS_mount_setattr, "mount_setattr", path, *arguments)


def mount(source: str, target: str, fstype: str, flags: int, data: str = "") -> None:
    """Mount by mount(2), the call of the old days, which follows symbolic links in `target`.

    Raises: SyscallError.
    """
    arguments = (path_bytes(source), path_bytes(target), fstype.encode(), flags, os.fsencode(data))
    syscall(SYS_mount, "mount", target, *arguments)


def umount2(target: str, flags: int = 0) -> None:
    """Unmount what is on top at `target`. umount2(2).

    Raises: SyscallError.
    """
    syscall(SYS_umount2, "umount2", target, path_bytes(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace and put the old root at `put_old`. pivot_root(2).

    Raises: SyscallError.
    """
    syscall(SYS_pivot_root, "pivot_root", new_root, path_bytes(new_root), path_bytes(put_old))


def set_propagation(path: str, flags: int, recursive: bool = False) -> None:
    """Make the mount at `path` (`recursive`: and all below) MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE.

    mount_namespaces(7) §SHARED SUBTREES.

    Raises: SyscallError.
    """
    mount("", path, "", flags | (MS_REC if recursive else 0))


def bind_mount(
    source: str | FdLike,
    target_dirfd: FdLike,
    *,
    recursive: bool = True,
    readonly: str = "no",
    propagation: int | None = None,
    attrs: int = 0,
    object: str = "",
) -> Fd:
    """The new mount: `source` (a path, or a descriptor of it) bound over the place behind `target_dirfd`.

    `target_dirfd` is an O_PATH descriptor, so that no symbolic link can divert the mount. `readonly` is "no",
    "mount" (this mount only) or "recursive" (with all below it). `propagation` is an MS_* flag for the whole
    tree (None: as the source has it), `attrs` more MOUNT_ATTR_*. `object` names the target in errors. The
    caller may close the result: the mount stays.

    Raises: SyscallError.
    """
    name = object or (source if isinstance(source, str) else "")
    try:
        tree = clone_tree(source, name, recursive=recursive)
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        return _bind_legacy(source, target_dirfd, recursive, readonly, propagation, attrs)
    with tree:
        if not attach_tree(tree, target_dirfd, readonly, propagation, attrs, name):
            return _bind_legacy(source, target_dirfd, recursive, readonly, propagation, attrs)
        return Fd(tree.detach())


def attach_tree(
    tree: Fd, target_dirfd: FdLike, readonly: str, propagation: int | None, attrs: int, object: str
) -> bool:
    """Attach a detached tree with the attributes of `bind_mount`; False, and nothing done, on Linux before 5.12.

    There attributes can only be set once it is attached. Raises: SyscallError.
    """
    try:
        _set_attributes(tree, readonly, propagation, attrs)
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        return False
    try:
        move_mount(tree, target_dirfd, object=object)
    except SyscallError as error:
        raise _of_unlike_kinds(error, tree, target_dirfd) from None
    return True


def _of_unlike_kinds(error: SyscallError, tree: Fd, target: FdLike) -> SyscallError:
    """`error`, said as mount(2) does when it came from a directory over a file: move_mount has EINVAL for it."""
    if error.errno == errno.EINVAL:
        kinds = [stat.S_ISDIR(os.fstat(fd).st_mode) for fd in (tree.fileno(), _number(target))]
        if kinds[0] != kinds[1]:
            fix = "mount a directory on a directory, and a file on a file"
            return SyscallError(error.syscall, error.object, errno.ENOTDIR, fix=fix)
    return error


def make_readonly(fd: FdLike) -> None:
    """Make the mount behind `fd` read-only, and none of those below it.

    Raises: SyscallError.
    """
    try:
        mount_setattr(fd, attr_set=MOUNT_ATTR_RDONLY)
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        # Before Linux 5.12: by the path, with all other flags said again.
        path = os.readlink(proc_path(fd))
        mount("", path, "", MS_BIND | MS_REMOUNT | MS_RDONLY | _flags_of(path))


def clone_tree(source: str | FdLike, name: str, *, recursive: bool) -> Fd:
    """A detached copy of the mount tree at `source`, a path or a descriptor; `name` stands for it in errors.

    Raises: SyscallError.
    """
    flags = OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0)
    if isinstance(source, str):
        return open_tree(AT_FDCWD, source, flags)
    number = syscall(SYS_open_tree, "open_tree", name, source, b"", flags | AT_EMPTY_PATH | OPEN_TREE_CLOEXEC)
    return Fd(number)


def _set_attributes(tree: Fd, readonly: str, propagation: int | None, attrs: int) -> None:
    """Attributes of a detached tree, in at most two calls: of the tree, and of its root alone."""
    top = attrs | (MOUNT_ATTR_RDONLY if readonly == "mount" else 0)
    whole = MOUNT_ATTR_RDONLY if readonly == "recursive" else 0
    if whole or propagation:
        mount_setattr(tree, attr_set=whole, propagation=propagation or 0, recursive=True)
    if top:
        mount_setattr(tree, attr_set=top, attr_clr=_atime_clear(top))


def _atime_clear(attrs: int) -> int:
    """attr_clr for a change of the access time mode: the kernel wants its whole field cleared first."""
    return MOUNT_ATTR__ATIME if attrs & MOUNT_ATTR__ATIME else 0


def _bind_legacy(
    source: str | FdLike,
    target: FdLike,
    recursive: bool,
    readonly: str,
    propagation: int | None,
    attrs: int,
) -> Fd:
    """bind_mount by mount(2): attach, then remount with the flags, mount by mount below it if asked."""
    place = proc_path(target)
    origin = source if isinstance(source, str) else proc_path(source)
    mount(origin, place, "", MS_BIND | (MS_REC if recursive else 0))
    path = os.readlink(place)
    if propagation:
        set_propagation(path, propagation, recursive=True)
    flags = legacy_flags(attrs | (MOUNT_ATTR_RDONLY if readonly != "no" else 0))
    if flags:
        mount("", path, "", MS_BIND | MS_REMOUNT | flags | _flags_of(path))
    if readonly == "recursive":
        for below in mount_points():
            if not below.startswith(path.rstrip("/") + "/"):
                continue
            mount("", below, "", MS_BIND | MS_REMOUNT | MS_RDONLY | _flags_of(below))
    return open_mount(path)


def _flags_of(path: str) -> int:
    """The MS_* flags that the mount at `path` has now."""
    present = os.statvfs(path).f_flag
    flags = 0
    for statvfs_flag, mount_flag in _STATVFS_FLAGS:
        if present & statvfs_flag:
            flags |= mount_flag
    return flags


def legacy_flags(attrs: int) -> int:
    """MOUNT_ATTR_* as the MS_* flags of mount(2)."""
    flags = 0
    for attribute, flag in _ATTRIBUTE_FLAGS:
        if attrs & attribute == attribute:
            flags |= flag
    return flags


def attributes(flags: int) -> int:
    """MS_* flags of mount(2) as MOUNT_ATTR_*; flags that belong to the superblock are left out."""
    attrs = 0
    for attribute, flag in _ATTRIBUTE_FLAGS:
        if flags & flag:
            attrs |= attribute
    return attrs


def proc_path(fd: FdLike) -> str:
    """A path that leads to the open file `fd` in this process, through /proc."""
    return f"/proc/self/fd/{_number(fd)}"


def _number(fd: FdLike) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def open_mount(path: str) -> Fd:
    """An O_PATH descriptor of what is mounted at `path`. Raises: SyscallError."""
    try:
        return Fd(os.open(path, os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
