"""Members of the tars that are composed here: everything is root's, and has no time."""

from __future__ import annotations

import tarfile


def directory_entry(name: str, *, mode: int = 0o755) -> tarfile.TarInfo:
    """A directory."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info


def file_entry(name: str, size: int, *, mode: int = 0o644) -> tarfile.TarInfo:
    """A file of `size` bytes, which follow."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info


def symlink_entry(name: str, target: str) -> tarfile.TarInfo:
    """A symbolic link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    return info
