"""Where a layer's archive comes from."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Protocol

from shoal.image.tar.compression import read_chunks

Progress = Callable[[int], None]


class LayerArchive(Protocol):
    """Where a layer's tar, compressed or not, comes from: a file, or one that is still growing."""

    size_bytes: int

    def chunks(self) -> Generator[bytes, None, None]:
        """The archive. Consumed in another thread, perhaps; raises there what ends the work."""

    def check(self) -> None:
        """Raises: what ends the work; asked again and again while something else is waited for."""

    def wait_below(self) -> None:
        """Returns when the layers below exist; the tree is complete but for what it has from them."""

    def give_up(self) -> None:
        """The rest is not wanted: `chunks` ends soon, whatever it waits for."""


class ArchiveFile:
    """An archive that lies in a file; `progress` hears of the bytes read so far, what it raises ends the work."""

    def __init__(self, path: str, progress: Progress | None = None) -> None:
        self.path = path
        self.size_bytes = os.stat(path).st_size
        self._progress = progress

    def chunks(self) -> Generator[bytes, None, None]:
        """As LayerArchive."""
        done = 0
        with open(self.path, "rb", buffering=0) as file:
            for chunk in read_chunks(file):
                done += len(chunk)
                if self._progress is not None:
                    self._progress(done)
                yield chunk

    def check(self) -> None:
        """Nothing ends it."""

    def wait_below(self) -> None:
        """They exist: layers of a file are made one after the other."""

    def give_up(self) -> None:
        """A file never keeps anybody waiting."""
