"""One entry of a tree of files, wherever the tree is kept: in layers, in an archive, on disk. Pure data."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import NamedTuple


class FileEntry(NamedTuple):
    """What an entry is, but for a file's content. `mode` is as in `st_mode`, with the kind."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    target: bytes = b""  # of a symbolic link
    device: int = 0
    xattrs: Mapping[bytes, bytes] = {}

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)
