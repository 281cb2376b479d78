"""A tree of file entries whose contents lie one behind the other in a spool; kept on disk, it is read back at once."""

from __future__ import annotations

import stat
from collections.abc import Callable

import msgspec

from shoal.errors import InvalidArgument
from shoal.oci.file_entry import FileEntry

IMPLIED = FileEntry(stat.S_IFDIR | 0o755)  # a directory that an archive names in its files' paths only


class Node(msgspec.Struct, array_like=True, gc=False):
    """One entry: a directory has children, a file's content begins at `offset` of the spool."""

    entry: FileEntry
    offset: int = 0
    digest: str = ""
    children: dict[bytes, Node] | None = None

    @classmethod
    def directory(cls, entry: FileEntry = IMPLIED) -> Node:
        """A directory with nothing in it."""
        return cls(entry, children={})

    def find(self, path: bytes) -> Node | None:
        """The node at `path` below this one."""
        node = self
        for part in path.split(b"/") if path else ():
            child = node.children.get(part) if node.children is not None else None
            if child is None:
                return None
            node = child
        return node

    def make_directory(self, path: bytes) -> Node:
        """The directory at `path`, with those above it. Raises: InvalidArgument where something else is there."""
        node = self
        for part in path.split(b"/") if path else ():
            assert node.children is not None
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = Node.directory()
            if child.children is None:
                raise InvalidArgument("invalid build context", why=f"`{path.decode(errors='replace')}` is no directory")
            node = child
        return node

    def remove(self, path: bytes) -> None:
        """Have what is at `path` no more; nothing happens where nothing is."""
        parent, _, name = path.rpartition(b"/")
        node = self.find(parent)
        if node is not None and node.children is not None:
            node.children.pop(name, None)

    def leave_out(self, is_excluded: Callable[[bytes], bool]) -> None:
        """Have the entries no more that are excluded; a directory stays where something in it does."""
        directories = [(self, b"")]  # without recursion: an archive may have two thousand directories in each other
        for node, path in directories:
            for name, child in (node.children or {}).items():
                if child.children is not None:
                    directories.append((child, path + b"/" + name if path else name))
        for node, path in reversed(directories):
            assert node.children is not None
            for name, child in list(node.children.items()):
                if not child.children and is_excluded(path + b"/" + name if path else name):
                    del node.children[name]

    def file_bytes(self) -> int:
        """How many bytes the files below have."""
        total, directories = 0, [self]
        for node in directories:
            for child in (node.children or {}).values():
                if child.children is not None:
                    directories.append(child)
                total += child.entry.size
        return total
