"""Keeps output that is read but not yet in the log, so that a supervisor that is killed loses and doubles nothing.

Bytes go from the FIFO into a file beside it by splice(2), in one system call: they are in the one or in the other,
whatever happens. From there they are read, and written to the log; then a small record says how far. A successor
cuts the log back to the last such record and writes the rest again.

    FIFO ──splice──▶ RUN_DIR/stdout.journal ──read──▶ log file, clients
                     └ unlogged from `logged` on        └ `log_size` bytes of it are settled
                     RUN_DIR/journal: inode and settled size of the log; for each stream `logged` and the file's end

Both streams share one record, because they share the log. The directory is on a tmpfs and survives as long as the
container can. Runs in a supervisor.
"""

from __future__ import annotations

import os
import struct

STREAMS = ("stdout", "stderr")
# Inode of the log, its settled size, bits of streams being compacted; then `logged` and the end of each stream.
_RECORD = struct.Struct("=QQQQQQQ")
# A journal is begun anew when this much of it is settled; more than any tail (logsink.PARTIAL_BYTES), because the
# tail is copied to the front.
_COMPACT_BYTES = 256 * 1024


class Journal:
    """The journals of a container's streams, and their common record.

    `tails` are the bytes of each stream that are not settled: the beginning of a line.
    """

    __slots__ = ("_directory", "_ends", "_fds", "_logged", "_record_fd", "tails")

    def __init__(self, directory: str, streams: tuple[str, ...], *, fresh: bool) -> None:
        """Opens the journal in `directory`, empty if `fresh`; else `recover` is to be called next."""
        self._directory = directory
        self.tails = dict.fromkeys(streams, b"")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        self._record_fd = os.open(f"{directory}/journal", flags, 0o600)
        self._fds = {name: os.open(self._path(name), flags, 0o600) for name in streams}
        self._logged = dict.fromkeys(streams, 0)
        self._ends = dict.fromkeys(streams, 0)

    def begin(self, log_inode: int, log_size_bytes: int) -> None:
        """Notes where the log stands before anything is read; an inode of 0 means that there is no file."""
        self._write_record(log_inode, log_size_bytes)

    def recover(self, log_path: str | None) -> bool:
        """Takes over from a supervisor that died; True when the log was cut back, because work was interrupted."""
        record = os.pread(self._record_fd, _RECORD.size, 0)
        inode, size, compacting, *positions = _RECORD.unpack(record) if len(record) == _RECORD.size else (0,) * 7
        for index, name in enumerate(STREAMS):
            if name in self._fds:
                logged, end = positions[2 * index : 2 * index + 2]
                if compacting & (1 << index):
                    os.ftruncate(self._fds[name], end)
                self._logged[name] = logged
                self._ends[name] = os.fstat(self._fds[name]).st_size
                self.tails[name] = self._read(name, logged)
        return log_path is not None and _cut_back(log_path, inode, size)

    def take(self, stream: str, fifo: int, limit_bytes: int) -> bytes:
        """Moves what is in the FIFO into the journal; returns the new bytes. Raises: BlockingIOError."""
        end = self._ends[stream]
        count = os.splice(fifo, self._fds[stream], limit_bytes, offset_dst=end, flags=os.SPLICE_F_NONBLOCK)
        self._ends[stream] = end + count
        return os.pread(self._fds[stream], count, end) if count else b""

    def put(self, stream: str, data: bytes) -> None:
        """Keeps bytes that were read already: a terminal cannot be spliced."""
        os.pwrite(self._fds[stream], data, self._ends[stream])
        self._ends[stream] += len(data)

    def settle(self, stream: str, tail: bytes, log_inode: int, log_size_bytes: int) -> None:
        """Notes that everything of `stream` but `tail` is in the log, which is `log_size_bytes` long."""
        self.tails[stream] = tail
        self._logged[stream] = self._ends[stream] - len(tail)
        if self._logged[stream] >= _COMPACT_BYTES:
            self._compact(stream, tail, log_inode, log_size_bytes)
        else:
            self._write_record(log_inode, log_size_bytes)

    def close(self) -> None:
        """Gives the descriptors back; the files stay."""
        for fd in (self._record_fd, *self._fds.values()):
            os.close(fd)
        self._fds = {}

    def remove(self) -> None:
        """Closes, and removes the files: the streams have ended."""
        names = tuple(self._fds)
        self.close()
        # The record last: without it a successor would take what it finds for bytes that are in no log.
        for path in (*map(self._path, names), f"{self._directory}/journal"):
            _unlink(path)

    def _path(self, stream: str) -> str:
        return f"{self._directory}/{stream}.journal"

    def _read(self, stream: str, start: int) -> bytes:
        return os.pread(self._fds[stream], max(self._ends[stream] - start, 0), start)

    def _compact(self, stream: str, tail: bytes, log_inode: int, log_size_bytes: int) -> None:
        """Begins the file anew with the tail. At each point in between, a successor finds the tail."""
        fd = self._fds[stream]
        os.pwrite(fd, tail, 0)
        self._logged[stream], self._ends[stream] = 0, len(tail)
        self._write_record(log_inode, log_size_bytes, compacting=1 << STREAMS.index(stream))
        os.ftruncate(fd, len(tail))
        self._write_record(log_inode, log_size_bytes)

    def _write_record(self, log_inode: int, log_size_bytes: int, compacting: int = 0) -> None:
        positions = [n for name in STREAMS for n in (self._logged.get(name, 0), self._ends.get(name, 0))]
        os.pwrite(self._record_fd, _RECORD.pack(log_inode, log_size_bytes, compacting, *positions), 0)


def _cut_back(log_path: str, inode: int, size_bytes: int) -> bool:
    """Removes the records behind the settled ones; not when the log was rotated since, where some may come twice."""
    try:
        status = os.stat(log_path)
    except FileNotFoundError:
        return False
    if status.st_ino != inode or status.st_size <= size_bytes:
        return False
    os.truncate(log_path, size_bytes)
    return True


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # a restart of the machine emptied the directory
