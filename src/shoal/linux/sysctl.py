"""Kernel parameters by their dotted names. sysctl(8), proc_sys(5).

Used by the child inside its own namespaces, and by shoald for forwarding.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from shoal.errors import Forbidden, InvalidArgument, SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import SYS_fstatfs, syscall
from shoal.linux.rootfs import (
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)

PROC_SUPER_MAGIC = 0x9FA0
_STATFS_BYTES = 256


def sysctl_path(name: str) -> str:
    """Where the parameter lives; a name may be written with "/", as net/ipv4/conf/eth0.1/forwarding must.

    Raises: InvalidArgument for a name that leads elsewhere.
    """
    parts = name.split("/") if "/" in name else name.split(".")
    if not all(parts) or ".." in parts or "." in parts or "\0" in name:
        raise InvalidArgument(f"invalid sysctl {name!r}", why="it is a dotted name such as net.ipv4.ip_forward")
    return "/proc/sys/" + "/".join(parts)


def write_sysctl(name: str, value: str) -> None:
    """Set the parameter `name` to `value` in the namespaces of this process.

    A container's mounts can't turn this into a write to another file: /proc must be procfs, and the way from there
    goes through no link and no other mount (CVE-2025-52881). So it must come before /proc/sys is made read-only.

    Raises: InvalidArgument; SyscallError (ENOENT: this kernel or this namespace does not have it, EXDEV: something
    is mounted in the way); Forbidden when /proc is not procfs.
    """
    path = sysctl_path(name)
    try:
        with _open_parameter(path) as fd:
            os.write(fd.fileno(), value.encode())
    except OSError as error:
        raise SyscallError("write", path, error.errno or 0) from None


def _open_parameter(path: str) -> Fd:
    """The file of a parameter, for writing.

    Raises: SyscallError, Forbidden, OSError.
    """
    with Fd(os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)) as proc:
        if filesystem_type(proc) != PROC_SUPER_MAGIC:
            raise Forbidden(f"cannot set {path}", why="/proc is not the proc file system")
        below = path.removeprefix("/proc/")
        resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
        try:
            return openat2(proc, below, os.O_WRONLY, resolve=resolve)
        except SyscallError as error:
            if error.errno != errno.ENOSYS:
                raise SyscallError("open", path, error.errno) from None
        return Fd(os.open(below, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=proc.fileno()))


def filesystem_type(fd: FdLike) -> int:
    """The magic number of the file system that `fd` is on. fstatfs(2), include/uapi/linux/magic.h.

    Raises: SyscallError.
    """
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    # SAFETY: `buffer` is larger than struct statfs on every architecture, and outlives the call.
    syscall(SYS_fstatfs, "fstatfs", "", fd, ctypes.byref(buffer))
    number: int = struct.unpack_from("l", buffer)[0]
    return number


def read_sysctl(name: str) -> str:
    """The value of the parameter `name`, without the newline at its end.

    Raises: InvalidArgument; SyscallError.
    """
    path = sysctl_path(name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except OSError as error:
        raise SyscallError("read", path, error.errno or 0) from None
