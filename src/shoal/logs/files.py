"""The files of a log: the supervisor writes them, shoald reads them, nobody locks them.

A log is `PATH` and its rotated predecessors `PATH.1` (the newest) … `PATH.N`; these may be compressed, `PATH.N.gz`.
Reading from the disk goes on in threads, so that a slow one does not hold up the event loop.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

_COPY_BYTES = 1 << 20


class LogFile:
    """One file of a log, which it owns, and its inode. A compressed one is unpacked when it is first read."""

    def __init__(self, file: BinaryIO, *, is_compressed: bool) -> None:
        self._file = file
        self._is_compressed = is_compressed
        self.inode = os.fstat(file.fileno()).st_ino

    async def ready(self) -> None:
        """Makes sure that it can be read."""
        if self._is_compressed:
            self._file = await asyncio.to_thread(_unpacked, self._file)
            self._is_compressed = False

    def size_bytes(self) -> int:
        """How much it holds now."""
        return os.fstat(self._file.fileno()).st_size

    def read_nowait(self, offset: int, size_bytes: int) -> bytes:
        """What is there, read on the event loop: for what was written a moment ago."""
        return os.pread(self._file.fileno(), size_bytes, offset)

    async def read(self, offset: int, size_bytes: int) -> bytes:
        """What is there."""
        return await asyncio.to_thread(os.pread, self._file.fileno(), size_bytes, offset)

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()


def open_log(path: Path) -> list[LogFile]:
    """The files of the log at `path`, the oldest first; the caller closes them.

    The supervisor may rotate, and compress, while they are opened: a file then moves on to the next number. So they are
    opened from the newest on, and one that is met again under its next number is passed over; none is missed.
    """
    found: dict[int, LogFile] = {}
    number = 0
    while number <= _highest_number(path):
        file = _open_number(path, number)
        if file is not None and file.inode not in found:
            found[file.inode] = file
        elif file is not None:
            file.close()
        number += 1
    return list(found.values())[::-1]


def _open_number(path: Path, number: int) -> LogFile | None:
    name = path.with_name(f"{path.name}.{number}") if number else path
    # Compressed, it is there under both names for a moment; and once the first is gone, the second is there.
    for candidate, is_compressed in ((name, False), (name.with_name(f"{name.name}.gz"), True)):
        try:
            return LogFile(candidate.open("rb", buffering=0), is_compressed=is_compressed)
        except FileNotFoundError:
            pass  # it has the other name, or has just moved on
    return None


def _highest_number(path: Path) -> int:
    """The number of the oldest file; 0 where there is none but the newest."""
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return -1  # the container is gone
    prefix = f"{path.name}."
    suffixes = [name.removeprefix(prefix).removesuffix(".gz") for name in names if name.startswith(prefix)]
    return max((int(suffix) for suffix in suffixes if suffix.isdecimal()), default=0)


def _unpacked(compressed: BinaryIO) -> BinaryIO:
    """The contents in a file without a name; as much of it as is whole. Closes `compressed`."""
    target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  the caller's
    with compressed, gzip.GzipFile(fileobj=compressed) as source:
        try:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            pass  # damaged: what came before is kept
    return target
