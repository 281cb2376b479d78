"""Which snapshotter a machine gets: overlayfs, if it can lie on the data root's file system, else copies."""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument
from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.image.snapshot.overlay import OverlaySnapshotter
from shoal.image.snapshot.protocol import Snapshotter
from shoal.image.snapshot.records import SnapshotRecords
from shoal.image.snapshot.vfs import VfsSnapshotter
from shoal.image.whiteouts import OVERLAY_OPAQUE

# File systems that overlayfs does not accept for its upper directory. Documentation/filesystems/overlayfs.rst
_NO_UPPER = frozenset({"overlay", "nfs", "nfs4", "cifs", "smb3", "vfat", "exfat", "9p", "fuse.sshfs", "ecryptfs"})


def open_snapshotter(
    root: str,
    layers: LayerStore,
    scratch: Scratch,
    *,
    driver: str | None = None,
    filesystems: str = "/proc/filesystems",
) -> Snapshotter:
    """The snapshotter on the snapshots under `root`; `driver` is `overlay2` (or `overlay`), `vfs` or None.

    None means the one that made the snapshots that are there, else the best for this machine.
    Raises: InvalidArgument for another name.
    """
    records = SnapshotRecords(root, layers, scratch)
    chosen = driver or _used_so_far(records) or ("overlay2" if why_no_overlay(root, filesystems) is None else "vfs")
    if chosen in ("overlay", "overlay2"):
        return OverlaySnapshotter(records)
    if chosen == "vfs":
        return VfsSnapshotter(records)
    raise InvalidArgument(f"error initializing graphdriver: driver not supported: {driver}", fix="use overlay2 or vfs")


def why_no_overlay(directory: str, filesystems: str = "/proc/filesystems") -> str | None:
    """Why overlayfs can't be used on `directory`, or None if it can."""
    with open(filesystems, encoding="ascii") as file:
        if "overlay" not in file.read().split():
            return "the kernel does not know overlayfs: `modprobe overlay`"
    backing = _filesystem_of(directory)
    if backing in _NO_UPPER:
        return f"`{directory}` lies on {backing}, which overlayfs does not take"
    try:
        os.setxattr(directory, OVERLAY_OPAQUE, b"n")
        os.removexattr(directory, OVERLAY_OPAQUE)
    except OSError as error:
        return f"`{directory}` takes no trusted xattrs: {os.strerror(error.errno or 0)}"
    return None


def _used_so_far(records: SnapshotRecords) -> str | None:
    """The driver that made the snapshots."""
    for key in records.keys():  # noqa: SIM118 - not a dict
        for directory, driver in (("upper", "overlay2"), ("fs", "vfs")):
            if os.path.isdir(os.path.join(records.path(key), directory)):
                return driver
    return None


def _filesystem_of(directory: str) -> str:
    """The type of the file system that `directory` is on, by mountinfo. proc_pid_mountinfo(5)."""
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, tail = line.partition(" - ")
            if fields.split()[2] == wanted:
                return tail.split()[0]
    return ""  # btrfs subvolumes show another device number: overlayfs takes those
