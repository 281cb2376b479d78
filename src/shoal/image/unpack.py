"""Unpacking a layer's tar into a directory, safe against a hostile layer.

Runs in shoald's executor threads, as root. Every name is cleaned first, and one that leads out of the root is an error;
everything is made relative to a directory's descriptor that was reached without following a symlink (layer_tree.py).

Whiteouts become what overlayfs understands: `.wh.name` a character device 0/0, `.wh..wh..opq` the xattr
trusted.overlay.opaque. Directories get their attributes last, because what is put into them changes their times.
Source: OCI image-spec layer.md.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from shoal.errors import InvalidArgument
from shoal.image.attributes import Attributes, apply_special, apply_to_fresh_file
from shoal.image.entry_names import clean_name
from shoal.image.failures import explained
from shoal.image.layer_notes import LayerNotes
from shoal.image.layer_tree import LayerTree
from shoal.image.merged import MergedView
from shoal.image.tar.header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)
from shoal.image.tar.reader import TarReader
from shoal.image.whiteouts import make_opaque, make_whiteout

WHITEOUT_PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
_AUFS_PREFIX = b".wh..wh."
_FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ID_MAX = 2**32 - 2  # -1 would mean "leave unchanged" to chown


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What unpacking found: the files' bytes, and whether its skeleton and the tree give the archive back."""

    size_bytes: int
    is_rebuildable: bool


class Unpacker:
    """Puts the entries of one layer under the directory `root`; use once, in a `with` block.

    First `take` all entries; then `complete` gives directories that the archive only implies what they have from the
    layers below.
    """

    def __init__(self, root: str, notes: LayerNotes) -> None:
        self._tree = LayerTree(root, notes.keep_whole)
        self._notes = notes
        self._size = 0
        self._owner = (os.geteuid(), os.getegid())

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the tree."""
        self._tree.close()

    def take(self, reader: TarReader) -> None:
        """Unpack all entries of `reader`, and read the stream to its end.

        Raises: InvalidArgument for a malformed or hostile layer, Internal for a full disk. The directory is then
        in an undefined state: the caller deletes it.
        """
        self._tree.inherit(b"")
        entry: TarEntry | None = None
        try:
            for entry in reader:
                self._place(entry, reader)
            entry = None
            reader.drain()
        except (OSError, OverflowError, ValueError) as error:
            raise explained(error, entry) from error
        finally:
            self._tree.close_directories()

    def complete(self, lower: MergedView) -> Unpacked:
        """What was unpacked; directories get their attributes, from `lower` where need be. Raises: as `take`."""
        try:
            self._tree.apply_attributes(lower)
        except (OSError, OverflowError, ValueError) as error:
            raise explained(error) from error
        return Unpacked(self._size, self._tree.is_rebuildable)

    def _place(self, entry: TarEntry, reader: TarReader) -> None:
        """Create what `entry` describes."""
        path = clean_name(entry.name)
        if not path:
            if entry.kind != DIRECTORY:
                raise InvalidArgument("invalid layer entry", why="the root is not a directory")
            self._tree.set_attributes(b"", Attributes.of(entry))
            return
        parent, _, name = path.rpartition(b"/")
        if name.startswith(WHITEOUT_PREFIX):
            self._whiteout(parent, name)
            return
        if not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
            raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(path)}` has owner {entry.uid}:{entry.gid}")
        dir_fd = self._tree.directory(parent)
        if entry.kind == REGULAR:
            self._regular(entry, reader, dir_fd, parent, name)
        elif entry.kind == DIRECTORY:
            self._tree.make_directory(path, dir_fd, name)
            self._tree.set_attributes(path, Attributes.of(entry))
        else:
            try:
                self._special(entry, dir_fd, name)
            except FileExistsError:
                self._tree.displace(dir_fd, path, name)
                self._special(entry, dir_fd, name)
            if entry.kind != HARD_LINK:
                apply_special(entry, dir_fd, name)

    def _regular(self, entry: TarEntry, reader: TarReader, dir_fd: int, parent: bytes, name: bytes) -> None:
        path = parent + b"/" + name if parent else name
        try:
            fd = os.open(name, _FILE_FLAGS, 0o600, dir_fd=dir_fd)
        except FileExistsError:
            self._tree.displace(dir_fd, path, name)
            fd = os.open(name, _FILE_FLAGS, 0o600, dir_fd=dir_fd)
        try:
            if entry.sparse is not None:
                self._tree.lose()
                reader.copy_sparse(entry, fd)
            elif entry.size:
                reader.copy_data(fd)
            if entry.size:
                self._notes.file(path, fd, entry.size, entry.sparse)
            self._size += entry.size
            apply_to_fresh_file(entry, fd, self._owner)
        finally:
            os.close(fd)

    def _special(self, entry: TarEntry, dir_fd: int, name: bytes) -> None:
        """Create a link, device node or FIFO. Raises: FileExistsError."""
        if entry.kind == SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=dir_fd)
        elif entry.kind == HARD_LINK:
            target = clean_name(entry.linkname)
            target_parent, _, target_name = target.rpartition(b"/")
            # A copy: looking the target up may close `dir_fd`, if many directories are open.
            here = os.dup(dir_fd)
            try:
                there = self._tree.directory(target_parent, create=False)
                os.link(target_name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
            finally:
                os.close(here)
        elif entry.kind == FIFO:
            os.mkfifo(name, 0o600, dir_fd=dir_fd)
        elif entry.kind in (CHARACTER, BLOCK_DEVICE):
            kind = stat.S_IFCHR if entry.kind == CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=dir_fd)

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        """Hide a lower entry (`.wh.name`), or all lower entries of the directory (`.wh..wh..opq`)."""
        dir_fd = self._tree.directory(parent)
        if name == OPAQUE_NAME:
            make_opaque(dir_fd)
            return
        if name.startswith(_AUFS_PREFIX):
            return  # the books of the file system that invented this format
        hidden = name[len(WHITEOUT_PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(name)}` is not a whiteout")
        try:
            make_whiteout(dir_fd, hidden)
        except FileExistsError:
            # A whiteout is about lower layers only, so that this layer's own entry stays. A directory of it
            # must not merge with the hidden one.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=dir_fd, follow_symlinks=False).st_mode):
                self._tree.make_opaque(hidden, dir_fd)
