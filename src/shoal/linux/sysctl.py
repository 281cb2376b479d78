"""Kernel parameters by their dotted names. sysctl(8), proc_sys(5).

Used by the child inside its own namespaces, and by shoald for forwarding.
"""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd


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

    Raises: InvalidArgument; SyscallError (ENOENT: this kernel or this namespace does not have it).
    """
    path = sysctl_path(name)
    try:
        with Fd(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as fd:
            os.write(fd.fileno(), value.encode())
    except OSError as error:
        raise SyscallError("write", path, error.errno or 0) from None


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
