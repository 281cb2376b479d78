"""A log file that is rotated by its size; runs in a supervisor.

    PATH ─▶ PATH.1 ─▶ PATH.2 … the oldest goes. Compressed, where that is wanted: PATH.1.gz, one after the other, by a
    process of its own (compressor.py), while the log goes on.

A record is never split over two files. A write that fails (a full disk) loses its records and is told once: the
container goes on, as with Docker.
"""

from __future__ import annotations

import os

from shoal.supervisor.compressor import Compressor
from shoal.supervisor.disposal import Disposal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from shoal.supervisor.logsink_cutter import Part
    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import LogBody

    class RecordEncoder(Protocol):
        """Makes records of lines, for a file."""

        def records(self, stream: str, parts: list[Part], time_ns: int) -> bytes:
            """A record for each line and piece."""

        def fitting(self, records: bytes, room_bytes: int) -> int:
            """How many bytes of `records`, whole ones, fit into `room_bytes`."""

        def first_record(self, records: bytes) -> int:
            """The length of the first of `records`."""


class RotatedFile:
    """The newest file of a log, whose descriptor it owns, and what becomes of the older ones."""

    __slots__ = (
        "_compressor", "_disposal", "_encoder", "_fd", "_max_files", "_max_size_bytes", "_on_problem", "_path",
        "_told", "inode", "size_bytes",
    )  # fmt: skip

    def __init__(self, log: LogBody, encoder: RecordEncoder, loop: Loop, on_problem: Callable[[str], None]) -> None:
        """Raises: OSError."""
        self._encoder = encoder
        self._path = log["path"]
        self._max_size_bytes = log["max_size_bytes"]
        self._max_files = log["max_files"]
        self._on_problem = on_problem
        self._told = False
        self._fd = -1
        self.inode = 0
        self.size_bytes = 0
        self._open()
        self._disposal = Disposal(loop)
        self._compressor = Compressor(loop, self._path, log["max_files"], log["compressor"])

    def append(self, stream: str, parts: list[Part], time_ns: int) -> None:
        """Writes a record for each line and piece."""
        records = self._encoder.records(stream, parts, time_ns)
        try:
            if self._fd < 0:
                self._open()  # the last rotation came to no new file: it has been done, all but for that
            while records:
                cut = self._fitting(records)
                if cut == 0:
                    self._rotate()
                    cut = self._fitting(records) or self._encoder.first_record(records)
                self._write_all(records[:cut])
                records = records[cut:]
        except OSError as error:
            if not self._told:
                self._told = True
                self._on_problem(f"log `{self._path}`: {os.strerror(error.errno or 0)}, its output is lost")

    def close(self) -> None:
        """Gives the file back."""
        self._compressor.stop()
        self._disposal.close()
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _fitting(self, records: bytes) -> int:
        if self._max_size_bytes is None:
            return len(records)
        room = self._max_size_bytes - self.size_bytes
        return len(records) if len(records) <= room else self._encoder.fitting(records, room)

    def _write_all(self, data: bytes) -> None:
        count = os.write(self._fd, data)
        self.size_bytes += count
        while count < len(data):
            data = data[count:]
            count = os.write(self._fd, data)
            self.size_bytes += count

    def _rotate(self) -> None:
        self._close()  # the only file may be the one to go
        for suffix in ("", ".gz"):
            self._disposal.remove(self._name(self._max_files - 1, suffix))
        for number in range(self._max_files - 1, 0, -1):
            for suffix in ("", ".gz") if number > 1 else ("",):
                try:
                    os.rename(self._name(number - 1, suffix), self._name(number, suffix))
                except FileNotFoundError:
                    pass  # fewer files than allowed yet, or it has the other suffix
        self._open()
        self._compressor.rotated()

    def _name(self, number: int, suffix: str) -> str:
        """The file that is `number` rotations old; the newest has no number."""
        return f"{self._path}.{number}{suffix}" if number else self._path

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        status = os.fstat(self._fd)
        self.inode, self.size_bytes = status.st_ino, status.st_size
