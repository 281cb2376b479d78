"""What the first process of a machine does before anything else can: modules, a root that can be left, the power."""

from __future__ import annotations

import errno
import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.libc import SYS_finit_module, SYS_reboot, syscall
from shoal.linux.mounts import MS_BIND, MS_MOVE, MS_REC, mount

# include/uapi/linux/reboot.h
_MAGIC, _MAGIC2 = 0xFEE1DEAD, 0x28121969
_POWER_OFF = 0x4321FEDC


def load_module(path: str) -> None:
    """Loads a kernel module; one that is there already is well. finit_module(2). Raises: SyscallError, OSError."""
    with Fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as file:
        try:
            syscall(SYS_finit_module, "finit_module", path, file, b"\0", 0)
        except SyscallError as error:
            if error.errno != errno.EEXIST:
                raise


def make_root_leavable(place: str) -> None:
    """Puts a mount of its own over the root file system that the kernel unpacked, which pivot_root(2) cannot leave.

    `place` is an empty directory. Raises: SyscallError, OSError.
    """
    mount("/", place, "", MS_BIND | MS_REC)
    os.chdir(place)
    mount(".", "/", "", MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def power_off() -> None:
    """Ends the machine. reboot(2). Raises: SyscallError (EPERM)."""
    os.sync()
    syscall(SYS_reboot, "reboot", "power off", _MAGIC, _MAGIC2, _POWER_OFF, 0)
