"""Trees of unpacked layers, and of plain directories, as files that a build step copies from: nothing is mounted.

The trees don't change while they are read, and only shoal writes them, so that paths may be used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import BinaryIO

from shoal.image.merged import MergedView
from shoal.image.snapshot.diff import read_xattrs
from shoal.oci.file_entry import FileEntry

_PIECE = 1 << 20


class LayerFiles:
    """What `trees` show, the topmost first. Paths are relative and have no links on their way. Not thread-safe."""

    def __init__(self, trees: Sequence[str]) -> None:
        self._view = MergedView(trees)

    def find(self, path: bytes) -> FileEntry | None:
        """The entry at `path`, or None; a link is not followed."""
        found = self._view.find(path)
        if found is None:
            return None
        real, status = found
        target = os.readlink(real) if stat.S_ISLNK(status.st_mode) else b""
        return FileEntry(
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            status.st_size,
            target,
            status.st_rdev,
            read_xattrs(real),
        )

    def names(self, path: bytes) -> Sequence[bytes]:
        """The sorted names in the directory `path`."""
        return self._view.names(path)

    def digest(self, path: bytes) -> str:
        """The sha256 of the file at `path`. Raises: FileNotFoundError; OSError."""
        hasher = hashlib.sha256()
        with open(self._real(path), "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
        return hasher.hexdigest()

    def copy(self, path: bytes, fd: int) -> None:
        """Write the content of the file at `path` to `fd`. Raises: OSError."""
        with open(self._real(path), "rb", buffering=0) as file:
            while os.sendfile(fd, file.fileno(), None, _PIECE):
                pass

    def head(self, path: bytes, count: int) -> bytes:
        """The first `count` bytes of the file at `path`. Raises: OSError."""
        with open(self._real(path), "rb", buffering=0) as file:
            return file.read(count)

    def open(self, path: bytes) -> BinaryIO:
        """The file at `path`, opened. Raises: OSError."""
        return open(self._real(path), "rb", buffering=0)

    def _real(self, path: bytes) -> bytes:
        found = self._view.find(path)
        if found is None:
            raise FileNotFoundError(os.fsdecode(path))
        return found[0]
