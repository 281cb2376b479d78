"""All files of an image as one tar, as its containers would see them: nothing is mounted, nothing is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from shoal.image.layer_files import LayerFiles
from shoal.image.tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.writer import TarWriter
from shoal.oci.file_entry import FileEntry

_KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
_PIECE = 1 << 20


def write_merged(trees: Sequence[str], write: Callable[[bytes | memoryview], object]) -> None:
    """Write the tar of what `trees` show together, the topmost first; a hard link is a file of its own.

    Raises: OSError; what `write` raises.
    """
    files = LayerFiles(trees)
    tar = TarWriter(write)
    pending = list(reversed(files.names(b"")))
    while pending:
        path = pending.pop()
        entry = files.find(path)
        if entry is None or stat.S_IFMT(entry.mode) not in _KINDS:
            continue
        tar.add(_tar_entry(path, entry), _content(files, path) if entry.is_file else ())
        if entry.is_directory:
            pending += [path + b"/" + name for name in reversed(files.names(path))]
    tar.close()


def _tar_entry(path: bytes, entry: FileEntry) -> TarEntry:
    return TarEntry(
        path + b"/" if entry.is_directory else path,
        _KINDS[stat.S_IFMT(entry.mode)],
        mode=stat.S_IMODE(entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size if entry.is_file else 0,
        mtime_ns=entry.mtime_ns,
        linkname=entry.target,
        major=os.major(entry.device),
        minor=os.minor(entry.device),
        xattrs=dict(entry.xattrs),
    )


def _content(files: LayerFiles, path: bytes) -> Iterator[bytes]:
    with files.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece
