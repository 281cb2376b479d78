"""New mounts of file systems: by the mount API of Linux 5.2, else by mount(2)."""

from __future__ import annotations

import errno
import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.mounts import (
    fsconfig_create,
    fsconfig_set_flag,
    fsconfig_set_string,
    fsmount,
    fsopen,
    legacy_flags,
    mount,
    move_mount,
    open_mount,
    proc_path,
    with_log,
)


def mount_filesystem(
    fstype: str,
    target_fd: FdLike,
    *,
    source: str = "",
    options: list[str] | tuple[str, ...] = (),
    attrs: int = 0,
    object: str = "",
) -> Fd:
    """The new mount: a file system of type `fstype` over the place behind the O_PATH descriptor `target_fd`.

    `options` are "key" or "key=value" of the file system, `attrs` MOUNT_ATTR_* of the mount. `object` names
    the target in errors. The caller may close the result: the mount stays.

    Raises: SyscallError.
    """
    try:
        fs_fd = fsopen(fstype)
    except SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        return mount_legacy(fstype, target_fd, source or fstype, options, attrs)
    with _made(fs_fd, fstype, source, options, attrs, object or fstype) as tree:
        move_mount(tree, target_fd, object=object or fstype)
        return Fd(tree.detach())


def detached_filesystem(fstype: str, source: str, options: list[str] | tuple[str, ...], attrs: int) -> Fd:
    """A new mount as `mount_filesystem` makes it, but attached nowhere yet: `move_mount` puts it into its place.

    It can be written to before. Linux 5.2.

    Raises: SyscallError (ENOSYS: an older kernel).
    """
    return _made(fsopen(fstype), fstype, source, options, attrs, fstype)


def _made(fs_fd: Fd, fstype: str, source: str, options: list[str] | tuple[str, ...], attrs: int, object: str) -> Fd:
    with fs_fd:
        configure(fs_fd, source or fstype, options)
        fsconfig_create(fs_fd, object)
        return fsmount(fs_fd, attrs, object)


def configure(fs_fd: Fd, source: str, options: list[str] | tuple[str, ...]) -> None:
    """Set `source` and every option on an fsopen descriptor.

    Raises: SyscallError, with the file system's own words where it has some.
    """
    try:
        if source:
            fsconfig_set_string(fs_fd, "source", source)
        for option in options:
            key, separator, value = option.partition("=")
            if separator:
                fsconfig_set_string(fs_fd, key, value)
            else:
                fsconfig_set_flag(fs_fd, key)
    except SyscallError as error:
        raise with_log(fs_fd, error) from None


def mount_legacy(fstype: str, target_fd: FdLike, source: str, options: list[str] | tuple[str, ...], attrs: int) -> Fd:
    """mount_filesystem by mount(2), for kernels before 5.2.

    Raises: SyscallError.
    """
    place = proc_path(target_fd)
    path = os.readlink(place)
    mount(source, place, fstype, legacy_flags(attrs), ",".join(options))
    return open_mount(path)
