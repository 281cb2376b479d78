"""Trees of files in memory, for tests of what a build copies."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping, Sequence

from shoal.oci.file_entry import FileEntry


class MemoryFiles:
    """Files by path: bytes are a file's content, a text is a link's target, None is a directory."""

    def __init__(self, entries: Mapping[str, bytes | str | None], *, mode: int = 0o644, uid: int = 0) -> None:
        self._contents: dict[bytes, bytes] = {}
        self._entries: dict[bytes, FileEntry] = {b"": FileEntry(stat.S_IFDIR | 0o755)}
        for path, value in entries.items():
            name = path.encode()
            for count in range(1, name.count(b"/") + 1):
                self._entries.setdefault(b"/".join(name.split(b"/")[:count]), FileEntry(stat.S_IFDIR | 0o755))
            if value is None:
                self._entries[name] = FileEntry(stat.S_IFDIR | 0o755, uid, uid)
            elif isinstance(value, str):
                self._entries[name] = FileEntry(stat.S_IFLNK | 0o777, uid, uid, target=value.encode())
            else:
                self._contents[name] = value
                self._entries[name] = FileEntry(stat.S_IFREG | mode, uid, uid, size=len(value))

    def find(self, path: bytes) -> FileEntry | None:
        return self._entries.get(path)

    def names(self, path: bytes) -> Sequence[bytes]:
        prefix = path + b"/" if path else b""
        below = [name[len(prefix) :] for name in self._entries if name and name.startswith(prefix)]
        return sorted({name for name in below if name and b"/" not in name})

    def digest(self, path: bytes) -> str:
        return hashlib.sha256(self._contents[path]).hexdigest()

    def copy(self, path: bytes, fd: int) -> None:
        with open(fd, "wb", closefd=False) as file:
            file.write(self._contents[path])

    def head(self, path: bytes, count: int) -> bytes:
        return self._contents[path][:count]
