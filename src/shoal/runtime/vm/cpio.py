"""A cpio archive in the "newc" form, as the kernel unpacks its first file system from.

Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst. Pure.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


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
