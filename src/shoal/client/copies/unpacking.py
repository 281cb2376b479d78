"""A container's tar becomes files of the user's. The container may be hostile: nothing outside the target is touched.

Every directory is opened inside the target by the kernel (openat2(2), RESOLVE_IN_ROOT), so that a link in the archive
leads nowhere else. Owners are the user, as with Docker's client.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Any

from shoal.client.copies.places import Arrival
from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.rootfs import mkdir_in_root, open_in_root

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 256 * 1024


class _ChunkFile(io.RawIOBase):
    """Chunks as a file to read from; counts them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
            self.size += len(self._rest)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(chunks: Iterator[bytes], arriving: Arrival) -> int:
    """Put the entries of a tar stream where they arrive; returns how many bytes it had.

    Raises: InvalidArgument for an archive that leads out, or meets something of another kind, and for what can't be
    written.
    """
    source = _ChunkFile(chunks)
    times: list[tuple[str, float]] = []
    try:
        with Fd(os.open(arriving.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
            with tarfile.open(fileobj=io.BufferedReader(source, _PIECE_BYTES), mode="r|") as archive:
                for entry in archive:
                    _place(root, archive, entry, arriving)
                    if entry.isdir():
                        times.append((_inside(arriving.renamed(entry.name)), entry.mtime))
            for name, seconds in reversed(times):
                with open_in_root(root, name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as directory:
                    os.utime(directory.fileno(), (seconds, seconds))
        while next(chunks, b""):
            pass  # padding behind the archive's end, so that the connection can be used again
    except (OSError, SyscallError, tarfile.TarError) as error:
        raise InvalidArgument(f"can't copy to {arriving.directory}", why=str(error)) from None
    return source.size


def _inside(name: str) -> str:
    """A name below the target. Raises: InvalidArgument when it leads out of it."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise InvalidArgument(f'"{name}" is outside of the target', why="the container's archive is hostile")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _place(root: Fd, archive: tarfile.TarFile, entry: tarfile.TarInfo, arriving: Arrival) -> None:
    path = _inside(arriving.renamed(entry.name))
    if not path:
        return  # the target itself
    directory, name = os.path.split(path)
    with mkdir_in_root(root, directory) as parent:
        _make_room(entry, parent, name, path)
        if entry.isdir():
            _make_directory(entry, parent, name)
        elif entry.isreg():
            _make_file(archive, entry, parent, name)
        elif entry.islnk():
            target_directory, target = os.path.split(_inside(arriving.renamed(entry.linkname)))
            with open_in_root(root, target_directory, os.O_PATH | os.O_DIRECTORY) as there:
                os.link(target, name, src_dir_fd=there.fileno(), dst_dir_fd=parent.fileno(), follow_symlinks=False)
        elif entry.issym():
            os.symlink(entry.linkname, name, dir_fd=parent.fileno())
            os.utime(name, (entry.mtime, entry.mtime), dir_fd=parent.fileno(), follow_symlinks=False)
        else:
            _make_node(entry, parent, name)


def _make_room(entry: tarfile.TarInfo, parent: Fd, name: str, path: str) -> None:
    """Take away a file of the entry's name; a directory gives way to nothing, and nothing to a directory."""
    try:
        there = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(there.st_mode) and not entry.isdir():
        raise InvalidArgument(f'cannot overwrite directory "{path}" with non-directory')
    if not stat.S_ISDIR(there.st_mode):
        if entry.isdir():
            raise InvalidArgument(f'cannot overwrite non-directory "{path}" with directory')
        os.unlink(name, dir_fd=parent.fileno())


def _make_directory(entry: tarfile.TarInfo, parent: Fd, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent.fileno())
    except FileExistsError:
        pass
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with Fd(os.open(name, flags, dir_fd=parent.fileno())) as made:
        # The owner may write in it while it is filled, whatever the container says.
        os.fchmod(made.fileno(), entry.mode & 0o7777 | 0o700)


def _make_file(archive: tarfile.TarFile, entry: tarfile.TarInfo, parent: Fd, name: str) -> None:
    data = archive.extractfile(entry)
    with Fd(os.open(name, _NEW_FILE, 0o600, dir_fd=parent.fileno())) as made:
        with open(made.fileno(), "wb", buffering=0, closefd=False) as file:
            while data is not None and (piece := data.read(_PIECE_BYTES)):
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
        os.fchmod(made.fileno(), entry.mode & 0o7777)
        os.utime(made.fileno(), (entry.mtime, entry.mtime))


def _make_node(entry: tarfile.TarInfo, parent: Fd, name: str) -> None:
    """A FIFO or a device; the latter takes privilege."""
    kinds = {tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
    device = os.makedev(entry.devmajor, entry.devminor)
    os.mknod(name, kinds[entry.type] | entry.mode & 0o777, device, dir_fd=parent.fileno())
