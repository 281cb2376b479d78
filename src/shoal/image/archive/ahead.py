"""Layers of an archive, unpacked while the archive is still on its way.

The table of contents comes last: which members are layers, and what they will lie on, is guessed from their first
bytes and found out at the end. A guess costs time at the most: what nobody asks for is dropped, and a member that could
not be unpacked ahead is taken from its file, as if nobody had tried.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from shoal.errors import ShoalError
from shoal.image.layer_archive import ArchiveFile, Progress
from shoal.image.layers import LayerStore
from shoal.image.tar.compression import compression_of
from shoal.image.tar.header import BLOCK, REGULAR, TarEntry
from shoal.image.unpacking import Unpacking

_WORTH_BYTES = 1 << 18  # below, it costs more than it saves
_PIECE_BYTES = 1 << 18
_POLL_S = 0.1
_MAGIC = slice(257, 262)  # of a tar: `ustar`
_HEX = re.compile(rb"[0-9a-f]{64}")


class GivenUp(ShoalError):
    """Nobody wants it any more."""


class GrowingFile(ArchiveFile):
    """A LayerArchive of `size_bytes` in a file that another thread writes, who tells of each piece by `arrive`."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.position = 0  # of who reads it
        self._changed = threading.Condition()
        self._arrived = 0
        self._is_given_up = False

    def arrive(self, count: int) -> None:
        """For the writer: so many more bytes are in the file."""
        with self._changed:
            self._arrived += count
            self._changed.notify_all()

    def give_up(self) -> None:
        """As LayerArchive; the writer may do so as well."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def chunks(self) -> Generator[bytes, None, None]:
        """As LayerArchive. Raises: GivenUp."""
        with open(self.path, "rb", buffering=0) as file:
            while self.position < self.size_bytes:
                with self._changed:
                    while self._arrived == self.position and not self._is_given_up:
                        self._changed.wait()
                    if self._is_given_up:
                        raise GivenUp("the archive is not read to its end")
                    arrived = self._arrived
                piece = file.read(min(arrived - self.position, _PIECE_BYTES))
                self.position += len(piece)
                yield piece


class Ahead:
    """Unpacks members in their order, one at a time. Use in a `with` block, at whose end nothing is left of it."""

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shoal-load")
        self._begun: dict[str, tuple[GrowingFile, Unpacking, Future[None]]] = {}

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for growing, _unpacking, _work in self._begun.values():
            growing.give_up()
        self._thread.shutdown(wait=True)
        for path in list(self._begun):
            self.forget(path)

    def begin(self, entry: TarEntry, head: bytes, path: str) -> GrowingFile | None:
        """The file at `path`, which exists and is about to grow, if the member that goes there may be a new layer."""
        if entry.kind != REGULAR or entry.size < _WORTH_BYTES:
            return None
        if not (head[_MAGIC] == b"ustar" or compression_of(head)) or len(head) < BLOCK:
            return None
        if any(self._layers.has_diff(f"sha256:{digits.decode()}") for digits in _HEX.findall(entry.name)):
            return None  # newer archives name layers by their digests
        growing = GrowingFile(path, entry.size)
        unpacking = self._layers.begin(growing)
        self._begun[path] = growing, unpacking, self._thread.submit(unpacking.run)
        return growing

    def take(self, path: str, hear: Progress | None = None) -> Unpacking | None:
        """The unpacked member at `path`, the caller's now; None if it was not unpacked ahead. Waits for it.

        Meanwhile `hear` is told how far it is; what it raises is raised.
        """
        if path not in self._begun:
            return None
        growing, unpacking, work = self._begun[path]
        while not wait((work,), _POLL_S).done:
            if hear is not None:
                hear(growing.position)
        if work.exception() is not None:
            return None
        del self._begun[path]
        return unpacking

    def forget(self, path: str) -> None:
        """Throw away what was unpacked of the member at `path`."""
        if path in self._begun:
            growing, unpacking, work = self._begun.pop(path)
            growing.give_up()
            work.cancel()
            if not work.cancelled():
                work.exception()  # waits; whatever it was, nobody needs it
            self._layers.drop(unpacking)
