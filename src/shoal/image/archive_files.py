"""An archive's files without unpacking it: an index in memory, and what the files hold in one file on disk.

A build's context comes so. No name of it ever meets the file system, so that no link or `..` in it leads anywhere, and
two thousand files cost one inode. What a file holds is hashed on its way to disk. The spool only grows: what a second
archive replaces stays in it, so that an index that was kept is right until another one is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from shoal.errors import Conflict, InvalidArgument
from shoal.image.entry_names import clean_name
from shoal.image.tar.compression import decompressed
from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.reader import TarReader, write_all
from shoal.oci.file_entry import FileEntry
from shoal.oci.file_tree import Node

_KINDS = {
    REGULAR: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    FIFO: stat.S_IFIFO,
}
_FLUSH_AT = 1 << 20
_PIECE = 1 << 20
_REMOVALS_MAX = 16 << 20


class ArchiveFiles:
    """The files of archives in any compression, one on top of the other. Owns `fd`, the spool, and its index `root`."""

    def __init__(self, fd: int, root: Node | None = None) -> None:
        self._fd = fd
        self.root = root or Node.directory()
        self._size = os.fstat(fd).st_size
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    @classmethod
    def received(cls, chunks: Iterator[bytes], path: str) -> ArchiveFiles:
        """The files of one archive, with a spool at `path`, which has no name any more. Raises: as `receive`."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)  # at once: a killed shoald leaves nothing
        files = cls(fd)
        try:
            files.receive(chunks)
        except BaseException:
            files.close()
            raise
        return files

    def receive(self, chunks: Iterator[bytes], *, removals: bytes = b"") -> bool:
        """Add the entries of an archive; those that the entry `removals` names (with NULs between) go first.

        Returns whether there was an entry.
        Raises: InvalidArgument for what is no archive, or one whose entries lead out; Conflict for too many removals,
        where a whole context may do; OSError.
        """
        os.lseek(self._fd, self._size, os.SEEK_SET)
        reader = TarReader(decompressed(chunks))
        has_come = False
        for entry in reader:
            has_come = True
            if removals and entry.name == removals:
                self._remove(entry, reader)
            else:
                self._add(entry, reader)
        reader.drain()
        self._flush()
        return has_come

    @property
    def spool_bytes(self) -> int:
        """How much the spool has, with what was replaced."""
        return self._size

    def close(self) -> None:
        """Let go of the content."""
        os.close(self._fd)

    def find(self, path: bytes) -> FileEntry | None:
        """The entry at `path`, or None; a link is not followed."""
        node = self.root.find(path)
        return node.entry if node else None

    def names(self, path: bytes) -> Sequence[bytes]:
        """The sorted names in the directory `path`."""
        node = self.root.find(path)
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
        self.root.leave_out(is_excluded)

    # -- inside -------------------------------------------------------------------------------------------------

    def _file(self, path: bytes) -> Node:
        node = self.root.find(path)
        if node is None or not node.entry.is_file:
            raise FileNotFoundError(os.fsdecode(path))
        return node

    def _add(self, entry: TarEntry, reader: TarReader) -> None:
        path = clean_name(entry.name)
        if not path:
            return
        parent = self.root.make_directory(path.rpartition(b"/")[0])
        assert parent.children is not None
        name = path.rpartition(b"/")[2]
        if entry.kind == HARD_LINK:
            node = self.root.find(clean_name(entry.linkname))
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
        parent.children[name] = Node(described, offset, digest, {} if described.is_directory else None)

    def _remove(self, entry: TarEntry, reader: TarReader) -> None:
        if entry.size > _REMOVALS_MAX:
            raise Conflict("the build context can not be changed", why="too many removals", fix="send it as a whole")
        for name in b"".join(map(bytes, reader.data())).split(b"\0"):
            if path := clean_name(name):
                self.root.remove(path)

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
