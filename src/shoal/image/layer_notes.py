"""What is kept of a layer's archive while it is unpacked, so that it comes back bit for bit.

As a rule that is the skeleton: all of the archive but file data (skeleton.py). Where the tree can't give the data back
(a path that occurs twice, a sparse file, a name that leads through a link) it is the archive itself, compressed. That
shows in the middle; what came before is then put together from the skeleton and the tree, which has all of it so far.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from shoal.image.skeleton import SkeletonWriter, rebuild
from shoal.image.tar.compression import zstd_writer

_PIECE = 1 << 20


class LayerNotes:
    """Notes in `directory`, beside the tree in its `diff`. Use in a `with` block; `raw` is a tap for TarReader."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files = ExitStack()
        self._skeleton = self._files.enter_context(open(os.path.join(directory, "skeleton"), "x+b"))  # noqa: SIM115
        self._is_whole = False
        self._writer = SkeletonWriter(self._skeleton)
        self.raw = self._writer.raw  # the writer's own: it is called for every header

    def __enter__(self) -> LayerNotes:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def keep_whole(self) -> None:
        """From now on keep the archive itself: the tree is about to lose some of it, or to get it in another form.

        Raises: OSError, Internal.
        """
        if self._is_whole:
            return
        self._writer.close()
        self._skeleton.seek(0)
        self._is_whole = True
        out = zstd_writer(self._files.enter_context(open(os.path.join(self._directory, "archive"), "xb")))  # noqa: SIM115
        for piece in rebuild(self._skeleton, os.path.join(self._directory, "diff")):
            out.write(piece)
        self._writer.go_on_whole(out)

    def file(self, path: bytes, fd: int, size: int, parts: Sequence[tuple[int, int]] | None) -> None:
        """Note that the `size` bytes of the file at `path`, open as `fd`, come next; of a sparse one its `parts`."""
        if not self._is_whole:
            self._writer.file(path, size)
            return
        for offset, length in [(0, size)] if parts is None else parts:
            for piece in _pieces(fd, offset, length):
                self.raw(piece)

    def close(self) -> None:
        """Write what is left. Raises: OSError."""
        self._writer.close()
        if self._is_whole:
            os.unlink(os.path.join(self._directory, "skeleton"))


def _pieces(fd: int, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end and (piece := os.pread(fd, min(end - offset, _PIECE), offset)):
        offset += len(piece)
        yield piece
