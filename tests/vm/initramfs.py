"""The first file system of a guest that runs the tests.

Pure, but for reading what it is told to pack.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from shoal.runtime.vm.cpio import Archive

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
