"""An archive's files without unpacking it: an index in memory, and what the files hold in one file on disk.

A build's context comes so. No name of it ever meets the file system, so that no link or `..` in it leads anywhere, and
two thousand files cost one inode. What a file holds is hashed on its way to disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from shoal.errors import InvalidArgument
from shoal.image.entry_names import clean_name
from shoal.image.tar.compression import decompressed
from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.reader import TarReader, write_all
from shoal.oci.file_entry import FileEntry

_KINDS = {
    REGULAR: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    FIFO: stat.S_IFIFO,
}
_IMPLIED = FileEntry(stat.S_IFDIR | 0o755)
_FLUSH_AT = 1 << 20
_PIECE = 1 << 20


class _Node:
    """One entry: a directory has children, a file's content begins at `offset` of the spool."""

    __slots__ = ("children", "digest", "entry", "offset")

    def __init__(self, entry: FileEntry, offset: int = 0, digest: str = "") -> None:
        self.entry = entry
        self.offset = offset
        self.digest = digest
        self.children: dict[bytes, _Node] | None = {} if entry.is_directory else None


class ArchiveFiles:
    """The files of a tar in any compression. Owns its file at `path`, which has no name any more.

    Raises: InvalidArgument for what is no archive, or one whose entries lead out; OSError.
    """

    def __init__(self, chunks: Iterator[bytes], path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)  # at once: a killed shoald leaves nothing
        self._root = _Node(_IMPLIED)
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        try:
            reader = TarReader(decompressed(chunks))
            for entry in reader:
                self._add(entry, reader)
            reader.drain()
            self._flush()
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Let go of the content."""
        os.close(self._fd)

    def find(self, path: bytes) -> FileEntry | None:
        """The entry at `path`, or None; a link is not followed."""
        node = self._node(path)
        return node.entry if node else None

    def names(self, path: bytes) -> Sequence[bytes]:
        """The sorted names in the directory `path`."""
        node = self._node(path)
        return sorted(node.children) if node and node.children else []

    def digest(self, path: bytes) -> str:
        """The sha256 of the file at `path`. Raises: FileNotFoundError."""
        return self._file(path).digest

    def copy(self, path: bytes, fd: int) -> None:
        """Write the content of the file at `path` to `fd`. Raises: OSError."""
        node = self._file(path)
        offset, end = node.offset, node.offset + node.entry.size
        while offset < end:
            sent = os.sendfile(fd, self._fd, offset, min(end - offset, _PIECE))
            if not sent:
                raise InvalidArgument("the build context was cut off", why=os.fsdecode(path))
            offset += sent

    def head(self, path: bytes, count: int) -> bytes:
        """The first `count` bytes of the file at `path`. Raises: FileNotFoundError."""
        node = self._file(path)
        return os.pread(self._fd, min(count, node.entry.size), node.offset)

    def leave_out(self, is_excluded: Callable[[bytes], bool]) -> None:
        """Have the entries no more that are excluded; a directory stays where something in it does."""
        _leave_out(self._root, is_excluded)

    # -- inside -------------------------------------------------------------------------------------------------

    def _node(self, path: bytes) -> _Node | None:
        node = self._root
        for part in path.split(b"/") if path else ():
            child = node.children.get(part) if node.children is not None else None
            if child is None:
                return None
            node = child
        return node

    def _file(self, path: bytes) -> _Node:
        node = self._node(path)
        if node is None or not node.entry.is_file:
            raise FileNotFoundError(os.fsdecode(path))
        return node

    def _add(self, entry: TarEntry, reader: TarReader) -> None:
        path = clean_name(entry.name)
        if not path:
            return
        parent = self._directory(path.rpartition(b"/")[0])
        assert parent.children is not None
        name = path.rpartition(b"/")[2]
        if entry.kind == HARD_LINK:
            node = self._node(clean_name(entry.linkname))
            if node is None or not node.entry.is_file:
                raise InvalidArgument("invalid build context", why=f"`{os.fsdecode(path)}` links to nothing")
            parent.children[name] = node
            return
        described = FileEntry(
            _KINDS[entry.kind] | entry.mode & 0o7777,
            entry.uid,
            entry.gid,
            entry.mtime_ns,
            entry.size,
            entry.linkname,
            os.makedev(entry.major, entry.minor),
            entry.xattrs or {},
        )
        known = parent.children.get(name)
        if described.is_directory and known is not None and known.children is not None:
            known.entry = described
            return
        offset, digest = self._store(entry, reader) if described.is_file else (0, "")
        parent.children[name] = _Node(described, offset, digest)

    def _directory(self, path: bytes) -> _Node:
        node = self._root
        for part in path.split(b"/") if path else ():
            assert node.children is not None
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = _Node(_IMPLIED)
            if child.children is None:
                raise InvalidArgument("invalid build context", why=f"`{os.fsdecode(path)}` is no directory")
            node = child
        return node

    def _store(self, entry: TarEntry, reader: TarReader) -> tuple[int, str]:
        """Where the entry's data lies in the spool, and its sha256."""
        if entry.sparse is not None:
            raise InvalidArgument("sparse files are not supported in a build context", why=os.fsdecode(entry.name))
        hasher = hashlib.sha256()
        offset = self._size
        for piece in reader.data():
            hasher.update(piece)
            self._waiting.append(bytes(piece))
            self._size += len(piece)
            self._waiting_bytes += len(piece)
            if self._waiting_bytes >= _FLUSH_AT:
                self._flush()
        return offset, hasher.hexdigest()

    def _flush(self) -> None:
        write_all(self._fd, memoryview(b"".join(self._waiting)))
        self._waiting, self._waiting_bytes = [], 0


def _leave_out(root: _Node, is_excluded: Callable[[bytes], bool]) -> None:
    """Without recursion: an archive may have two thousand directories in each other."""
    directories = [(root, b"")]
    for node, path in directories:
        for name, child in (node.children or {}).items():
            if child.children is not None:
                directories.append((child, path + b"/" + name if path else name))
    for node, path in reversed(directories):
        assert node.children is not None
        for name, child in list(node.children.items()):
            if not child.children and is_excluded(path + b"/" + name if path else name):
                del node.children[name]
