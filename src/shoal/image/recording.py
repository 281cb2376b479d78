"""A layer's tree described while it is written: by whoever knows each entry, so that nothing is walked and read again.

What comes of it is what `adoption.describe` would say of the same tree. Where that is not sure, because entries come in
another order than a walk would meet them or are changed later, the record is void, and the tree is walked.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable

from shoal.image.adoption import Described, LayerNotes
from shoal.image.skeleton import SkeletonWriter
from shoal.image.tar.header import BLOCK, DIRECTORY, FIFO, REGULAR, SYMLINK, FileHeaders, TarEntry
from shoal.image.tar.writer import TarWriter
from shoal.oci.file_entry import FileEntry

# No device, which could be a whiteout, and no socket, which no archive has.
_KINDS = {stat.S_IFREG: REGULAR, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK, stat.S_IFIFO: FIFO}
_LATEST_NS = 1 << 62  # some file systems keep no time beyond


class TreeRecord:
    """Writes the skeleton of a tree into the new file `path`, which is the caller's."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "xb")  # noqa: SIM115 (closed by `described` or `close`)
        self._notes = LayerNotes(SkeletonWriter(self._file))
        self._tar = TarWriter(self._notes.write)
        self._headers: dict[tuple[int, int, int, int], FileHeaders] = {}
        self._last = b""
        self._is_void = False

    def add(self, path: bytes, entry: FileEntry, time_ns: int, data: bytes | Iterable[bytes]) -> None:
        """Note what has been made at `path`: with the time `time_ns`, and for a file all of its bytes."""
        place = path.replace(b"/", b"\0")  # the order in which a walk meets paths
        kind = _KINDS.get(stat.S_IFMT(entry.mode))
        if self._is_void or kind is None or entry.xattrs or place <= self._last or not 0 <= time_ns < _LATEST_NS:
            self.void()
            return
        self._last = place
        if kind == REGULAR and isinstance(data, bytes):
            self._add_content(path, entry, time_ns, data)
        else:
            self._add(path, kind, entry, time_ns, (data,) if isinstance(data, bytes) else data)

    def _add_content(self, path: bytes, entry: FileEntry, time_ns: int, content: bytes) -> None:
        """As `_add`, for one of many files that are alike: all of it is hashed at once, with the header of its kind."""
        alike = (entry.mode, entry.uid, entry.gid, time_ns)
        headers = self._headers.get(alike)
        if headers is None:
            mode, uid, gid, _ = alike
            model = TarEntry(b"", mode=stat.S_IMODE(mode), uid=uid, gid=gid, mtime_ns=time_ns)
            headers = self._headers[alike] = FileHeaders(model)
        header = headers.block(path, len(content))
        if header is None or len(content) != entry.size:
            self._add(path, REGULAR, entry, time_ns, (content,))
        else:
            self._notes.content(path, header, content, bytes(-len(content) % BLOCK))
            self._notes.size_bytes += len(content)

    def _add(self, path: bytes, kind: bytes, entry: FileEntry, time_ns: int, data: Iterable[bytes]) -> None:
        size = entry.size if kind == REGULAR else 0
        noted = TarEntry(
            path + b"/" if kind == DIRECTORY else path,
            kind,
            mode=0o777 if kind == SYMLINK else stat.S_IMODE(entry.mode),
            uid=entry.uid,
            gid=entry.gid,
            size=size,
            mtime_ns=time_ns,
            linkname=entry.target if kind == SYMLINK else b"",
        )
        self._tar.add(noted, self._notes.file(path, size, data))
        self._notes.size_bytes += size

    def void(self) -> None:
        """Have the tree walked."""
        self._is_void = True

    def described(self) -> Described | None:
        """What the tree is; None where it has to be walked, or where nothing was noted."""
        if self._is_void or not self._last:
            return None
        self._tar.close()
        self._notes.skeleton.close()
        self._file.close()
        return self._notes.described()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
