"""The first file system of a guest: a cpio archive in the "newc" form. Linux Documentation/driver-api/early-userspace.

Pure, but for reading what it is told to pack.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4

BUSYBOX = Path("/bin/busybox")
# What the guest's kernel prints, on its console, once it runs a program: the accelerator works.
BOOTED = "shoal: the kernel has booted"
PROBE_WORD = "shoal.probe"
CHECKOUT = "/opt/shoal"
PYTHON = "/usr/bin/python3"
PATH = f"{CHECKOUT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs before any file system of a disk is there. The devices are found by their order on the command line of QEMU.
_INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in @MODULES@; do /bin/busybox insmod "/modules/$module" || echo "shoal: no module $module"; done
if /bin/busybox grep -qw {PROBE_WORD} /proc/cmdline; then
    echo "{BOOTED}"
    /bin/busybox poweroff -f
fi
/bin/busybox mount -t ext4 -o noatime /dev/vda /root || exec /bin/busybox poweroff -f
/bin/busybox mkdir -p /root{CHECKOUT}
/bin/busybox tar -x -f /dev/vdb -C /root{CHECKOUT}
/bin/busybox umount /proc
/bin/busybox mount --move /dev /root/dev
export PYTHONPATH={CHECKOUT} PATH={PATH} HOME=/root LANG=C.UTF-8
exec /bin/busybox switch_root /root {PYTHON} -s -m tests.vm.guest
"""


class Archive:
    """Writes one archive, entry by entry; directories come before what is in them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._inode = 0

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory; `name` has no slash at its front."""
        self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._entry(name, stat.S_IFREG | mode, content)

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def device(self, name: str, mode: int, major: int, minor: int) -> None:
        """Add a character device."""
        self._entry(name, stat.S_IFCHR | mode, b"", device=(major, minor))

    def close(self) -> None:
        """Write the entry that ends an archive."""
        self._entry(_TRAILER, 0, b"")

    def _entry(self, name: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        raw = os.fsencode(name) + b"\0"
        links, owner, check = 1, 0, 0
        fields = (self._inode, mode, owner, owner, links, 0, len(content), 0, 0, *device, len(raw), check)
        header = _MAGIC + b"".join(b"%08x" % field for field in fields)
        self._out.write(_aligned(header + raw) + _aligned(content))


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def write_boot_archive(out: BinaryIO, modules: Iterable[Path], busybox: Path = BUSYBOX) -> None:
    """The archive that loads `modules`, in their order, mounts the first disk and starts the guest's process 1."""
    archive = Archive(out)
    for name in ("bin", "dev", "modules", "proc", "root"):
        archive.directory(name)
    archive.device("dev/console", 0o600, 5, 1)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    names = []
    for path in modules:
        archive.file(f"modules/{path.name}", path.read_bytes())
        names.append(path.name)
    archive.file("init", _INIT.replace("@MODULES@", " ".join(names)).encode(), 0o755)
    archive.close()
