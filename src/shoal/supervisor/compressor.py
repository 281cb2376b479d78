"""Compresses the rotated files of a log, one at a time, in a process of its own: the supervisor never waits for it.

    PATH.N ──▶ child (a filter) ──▶ PATH.compressing ──▶ PATH.N.gz, then PATH.N goes

The log may be rotated while a file is compressed: its number is then another one, which is counted along. When a
supervisor is killed, the original is still there, and a successor begins anew. Runs in a supervisor.
"""

from __future__ import annotations

import os
import struct

from shoal.supervisor.companion import Companion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop

# The end of a gzip file: check sum, and the length of what was compressed (RFC 1952).
_TRAILER = struct.Struct("<II")


class Compressor:
    """The compression of one log's files; none where `script`, the path of the filter, is empty."""

    __slots__ = ("_companion", "_loop", "_max_files", "_number", "_path", "_script", "_size_bytes")

    def __init__(self, loop: Loop, path: str, max_files: int, script: str) -> None:
        self._loop = loop
        self._path = path
        self._max_files = max_files
        self._script = script
        self._companion: Companion | None = None
        # The number that the file in work has by now, and its size.
        self._number = 0
        self._size_bytes = 0
        if script:
            _unlink(self._partial)  # of a supervisor that was killed

    def rotated(self) -> None:
        """Every file has moved on to the next number, and there is a new PATH.1."""
        if not self._script:
            return
        if self._companion is not None:
            self._number += 1
        else:
            self._begin()

    def stop(self) -> None:
        """Gives up what is in work; the original stays."""
        if self._companion is not None:
            self._companion.kill()
            self._companion = None
            _unlink(self._partial)

    @property
    def _partial(self) -> str:
        return f"{self._path}.compressing"

    def _begin(self) -> None:
        """Compresses the newest file that is not compressed, if there is one."""
        for number in range(1, self._max_files):
            try:
                source = os.open(f"{self._path}.{number}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                self._size_bytes = os.fstat(source).st_size
                _unlink(self._partial)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                target = os.open(self._partial, flags, 0o640)
            except OSError:
                os.close(source)
                return  # the disk is full: the file stays as it is
            self._number = number
            self._companion = Companion(self._loop, self._script, [], source, target, self._done)
            os.close(source)
            os.close(target)
            return

    def _done(self) -> None:
        self._companion = None
        if self._number < self._max_files and self._is_whole():
            name = f"{self._path}.{self._number}"
            try:
                os.rename(self._partial, f"{name}.gz")
            except FileNotFoundError:
                return  # the container is gone
            _unlink(name)
            self._begin()
        else:
            _unlink(self._partial)

    def _is_whole(self) -> bool:
        """Whether the filter has come to its end: the trailer is what it writes last."""
        try:
            fd = os.open(self._partial, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            trailer = os.pread(fd, _TRAILER.size, max(os.fstat(fd).st_size - _TRAILER.size, 0))
        finally:
            os.close(fd)
        return len(trailer) == _TRAILER.size and _TRAILER.unpack(trailer)[1] == self._size_bytes & 0xFFFFFFFF


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # there is none
