"""One blob on its way from a registry: a file that grows, with one writer at a time and any number of readers.

The file is the channel between who downloads and who unpacks. It outlives both, and shoald: whoever comes next reads
what is there, and goes on behind it. Nobody takes a forgery for a whole blob, because the last byte is held back from
readers until the digest is verified. Thread-safe.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from shoal.image.tar.reader import write_all
from shoal.oci.digest import Digest, algorithm_of

_PIECE_BYTES = 1 << 18
_POLL_S = 0.1  # how soon a waiting thread learns that its own pull has ended


class _Hasher(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class OtherContent(Exception):
    """A blob's bytes are not those of its digest; `digest` is theirs, `is_old` if some are of an earlier pull.

    The file is empty then, and may be filled anew.
    """

    def __init__(self, digest: str, *, is_old: bool) -> None:
        super().__init__(digest)
        self.digest = digest
        self.is_old = is_old


class PartialBlob:
    """The first bytes of the blob `digest` of `size_bytes`, in the file `path`, which need not exist yet."""

    def __init__(self, path: str, digest: Digest, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._digest = digest
        self._algorithm = algorithm_of(digest)
        self._changed = threading.Condition()
        self._hasher: _Hasher = hashlib.new(self._algorithm)
        self._arrived = 0
        self._is_whole = False
        self._is_claimed = False
        self._has_old_bytes = False
        self._generation = 0  # of the content: readers of an earlier one have read in vain

    # -- writing ------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, check: Callable[[], None], hear: Callable[[int], None]) -> Iterator[BlobWriter | None]:
        """The right to append, for one at a time; None once the blob is whole, whoever made it so.

        While another one has it, `hear` is told how far that one is, and `check` may raise.
        Raises: OSError; what `check` and `hear` raise; OtherContent for a whole file of an earlier pull.
        """
        self._claim(check, hear)
        try:
            if self._is_whole:
                yield None
                return
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._take_up(fd, check)
                writer = BlobWriter(self, fd)
                if self._has_old_bytes and self._arrived == self.size_bytes:
                    writer.finish()
                    yield None
                else:
                    yield writer
            finally:
                os.close(fd)
        finally:
            with self._changed:
                self._is_claimed = False
                self._changed.notify_all()

    def _claim(self, check: Callable[[], None], hear: Callable[[int], None]) -> None:
        while True:
            with self._changed:
                if not self._is_claimed:
                    self._is_claimed = True
                    return
                self._changed.wait(_POLL_S)
                arrived = self._arrived
            check()
            hear(arrived)

    def _take_up(self, fd: int, check: Callable[[], None]) -> None:
        """Run the digest over what the file has already; readers get it meanwhile. Leaves `fd` at its end."""
        if os.fstat(fd).st_size > self.size_bytes:
            os.ftruncate(fd, self._arrived)
        os.lseek(fd, self._arrived, os.SEEK_SET)
        while piece := os.read(fd, _PIECE_BYTES):
            check()
            self._has_old_bytes = True
            self.arrive(piece)

    def arrive(self, data: bytes) -> None:
        """For the writer: `data` is in the file now."""
        self._hasher.update(data)
        with self._changed:
            self._arrived += len(data)
            self._changed.notify_all()

    def verify(self) -> None:
        """For the writer: that was all. Raises: OtherContent; the file has to be emptied then."""
        digest = f"{self._algorithm}:{self._hasher.hexdigest()}"
        is_old = self._has_old_bytes
        with self._changed:
            self._is_whole = digest == self._digest
            if not self._is_whole:
                self._hasher = hashlib.new(self._algorithm)
                self._arrived, self._has_old_bytes = 0, False
                self._generation += 1
            self._changed.notify_all()
        if not self._is_whole:
            raise OtherContent(digest, is_old=is_old)

    @property
    def arrived_bytes(self) -> int:
        """How many bytes are here."""
        return self._arrived

    # -- reading ------------------------------------------------------------------------------------------------

    def chunks(self, check: Callable[[], None]) -> Generator[bytes, None, None]:
        """The blob from its first byte on, as it comes.

        Raises while iterating: OtherContent; OSError; what `check`, which is called again and again, raises.
        """
        generation, position = self._generation, 0
        ready = self._wait_ready(position, generation, check)
        with open(self.path, "rb", buffering=0) as file:
            while ready > position:
                while position < ready:
                    piece = file.read(min(_PIECE_BYTES, ready - position))
                    if not piece:
                        self._check_generation(generation)
                        raise OSError(errno.EIO, os.strerror(errno.EIO), self.path)  # somebody else cut the file
                    position += len(piece)
                    yield piece
                ready = self._wait_ready(position, generation, check)

    def _wait_ready(self, position: int, generation: int, check: Callable[[], None]) -> int:
        """How many bytes may be read: more than `position`, unless that is all of them."""
        while True:
            check()
            with self._changed:
                self._check_generation(generation)
                ready = self._arrived if self._is_whole else min(self._arrived, self.size_bytes - 1)
                if ready > position or self._is_whole:
                    return ready
                self._changed.wait(_POLL_S)

    def _check_generation(self, generation: int) -> None:
        if self._generation != generation:
            raise OtherContent("", is_old=True)

    @property
    def generation(self) -> int:
        """Which content it has: another one each time that it turned out to be wrong."""
        return self._generation

    def proves_right(self, generation: int, check: Callable[[], None]) -> bool:
        """Whether the content of this generation has the right digest; waits until that is known.

        Raises: what `check` raises.
        """
        while True:
            check()
            with self._changed:
                if self._is_whole or self._generation != generation:
                    return self._generation == generation
                self._changed.wait(_POLL_S)


class BlobWriter:
    """Appends to a blob's file `fd`."""

    def __init__(self, blob: PartialBlob, fd: int) -> None:
        self._blob = blob
        self._fd = fd

    @property
    def position(self) -> int:
        """How many bytes there are: where the next one goes."""
        return self._blob.arrived_bytes

    def append(self, data: bytes) -> None:
        """Add what came next, at most as much as is missing. Raises: OSError."""
        write_all(self._fd, memoryview(data))
        self._blob.arrive(data)

    def finish(self) -> None:
        """Nothing, once the blob is verified. Raises: OtherContent, and the file is empty then; OSError."""
        try:
            self._blob.verify()
        except OtherContent:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            raise
