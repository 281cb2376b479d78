"""One file as a tar archive, and out of one. Pure."""

from __future__ import annotations

import io
import posixpath
import tarfile

from shoal.errors import InvalidArgument


def archive_of_file(name: str, data: bytes, *, mode: int, owner: tuple[int, int], mtime: float) -> bytes:
    """A tar with one regular file."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), mode, mtime
    entry.uid, entry.gid = owner
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def file_of_archive(archive: bytes, path: str) -> bytes:
    """The content of the one regular file in a tar; `path` names it in the error. Raises: InvalidArgument."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as entries:
            entry = entries.next()
            file = entries.extractfile(entry) if entry is not None and entry.isreg() else None
            if file is None:
                raise InvalidArgument(f"{path} is no regular file", fix="use get_archive for directories")
            return file.read()
    except tarfile.TarError as error:
        raise InvalidArgument(f"the archive of {path} can't be read", why=str(error)) from None


def split_path(path: str) -> tuple[str, str]:
    """(directory, name) of a file's path in a container. Raises: InvalidArgument for one that names no file."""
    directory, name = posixpath.split(path)
    if name in ("", ".", ".."):
        raise InvalidArgument(f"the path `{path}` names no file")
    return directory or "/", name
