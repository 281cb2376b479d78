"""Where images and containers are kept: room, inodes, and whether the file system can do what layers need."""

from __future__ import annotations

import os

from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding, read_text
from shoal.cli.quantities import decimal_size

AREA = "storage"
_FEW_BYTES, _VERY_FEW_BYTES = 2 * 10**9, 100 * 10**6
_FEW_INODES = 20_000
# On which overlayfs refuses an upper directory, or loses what it notes in extended attributes.
_NO_UPPER = {"overlay": "an overlay", "nfs": "NFS", "nfs4": "NFS", "vfat": "FAT", "exfat": "exFAT", "cifs": "SMB"}


def check_storage(data_root: str, exec_root: str) -> list[Finding]:
    """About the two directories of a daemon, or those above them where they are not made yet."""
    return [*_place("data-root", data_root), _kind(data_root), *_place("exec-root", exec_root)]


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path) or "/"
    return path


def _place(name: str, path: str) -> list[Finding]:
    try:
        seen = os.statvfs(_existing(path))
    except OSError as error:
        return [Finding(AREA, name, PROBLEM, f"{path}: {error.strerror}", f"mend {path}, or choose another --{name}")]
    free = seen.f_bavail * seen.f_frsize
    detail = f"{path}: {decimal_size(free)} free of {decimal_size(seen.f_blocks * seen.f_frsize)}"
    needs_room = name == "data-root"
    fix = "shoal system prune, or move it: --data-root on a larger disk" if needs_room else "make room on it"
    state = PROBLEM if free < _VERY_FEW_BYTES // (1 if needs_room else 10) else OK
    if state == OK and needs_room and free < _FEW_BYTES:
        state = WARNING
    found = [Finding(AREA, f"{name}-room", state, detail, fix if state != OK else "")]
    # File systems without a fixed number of inodes (btrfs) say 0.
    if seen.f_files and seen.f_favail < _FEW_INODES and needs_room:
        found.append(Finding(AREA, f"{name}-inodes", WARNING, f"{path}: {seen.f_favail} inodes free", fix))
    elif needs_room:
        found.append(Finding(AREA, f"{name}-inodes", OK, f"{seen.f_favail} free" if seen.f_files else "no limit"))
    if seen.f_flag & os.ST_RDONLY:
        found.append(Finding(AREA, name, PROBLEM, f"{path} is on a file system that is read-only", "mount it writable"))
    return found


def _kind(path: str) -> Finding:
    kind = _file_system(os.path.realpath(_existing(path)))
    if kind in _NO_UPPER:
        reason = f"{path} is on {_NO_UPPER[kind]}, which can't hold containers' layers: images are copied (vfs), slowly"
        return Finding(AREA, "data-root-kind", WARNING, reason, "put --data-root on ext4, xfs or btrfs")
    return Finding(AREA, "data-root-kind", OK, kind)


def _file_system(path: str) -> str:
    """The kind of the file system that `path` is on. proc_mounts(5)."""
    best, kind = "", "unknown"
    for line in read_text("/proc/self/mounts").splitlines():
        fields = line.split()
        if f"{path}/".startswith(fields[1].rstrip("/") + "/") and len(fields[1]) >= len(best):
            best, kind = fields[1], fields[2]
    return kind
