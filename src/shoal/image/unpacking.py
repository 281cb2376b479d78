"""One layer on its way from its archive into a scratch directory, in two steps.

    run         the archive's entries, its digest and its notes; nothing of the layers below is needed for that
    complete    what directories that the archive only implies have from the layers below

So a layer can be unpacked while it arrives, and before it is known what it will lie on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing

from shoal.image.layer_archive import LayerArchive
from shoal.image.layer_notes import LayerNotes
from shoal.image.merged import MergedView
from shoal.image.tar.compression import decompressed, prefetched
from shoal.image.tar.reader import TarReader
from shoal.image.unpack import Unpacked, Unpacker
from shoal.oci.digest import Digest

_PREFETCH_FROM = 4 << 20  # below, a thread costs more than it saves


class Unpacking:
    """The layer of `archive` on its way into `directory`/diff; the caller owns the directory, which must not exist.

    Use once; `close` at the end, whatever happened.
    """

    def __init__(self, archive: LayerArchive, directory: str) -> None:
        self.archive = archive
        self.directory = directory
        self.size_bytes = 0  # of the plain tar
        self._hasher = hashlib.sha256()
        self._unpacker: Unpacker | None = None

    @property
    def diff_id(self) -> Digest:
        """The digest of the plain tar, once it was read."""
        return Digest(f"sha256:{self._hasher.hexdigest()}")

    def run(self) -> None:
        """Read the archive to its end. Raises: what Unpacker and the archive raise, OSError."""
        tree = os.path.join(self.directory, "diff")
        os.makedirs(tree, mode=0o755)
        with LayerNotes(self.directory) as notes, closing(self.archive.chunks()) as raw:
            chunks = self._hashed(decompressed(raw))
            ahead = prefetched(chunks) if self.archive.size_bytes >= _PREFETCH_FROM else None
            self._unpacker = Unpacker(tree, notes)
            try:
                self._unpacker.take(TarReader(ahead or chunks, tap=notes.raw))
            finally:
                if ahead is not None:
                    self.archive.give_up()
                    ahead.close()
            notes.close()

    def complete(self, lower: MergedView) -> Unpacked:
        """What was unpacked, now that `lower` shows the layers below. Raises: what Unpacker raises."""
        assert self._unpacker is not None, "run comes first"
        return self._unpacker.complete(lower)

    def close(self) -> None:
        """Let go of the tree."""
        if self._unpacker is not None:
            self._unpacker.close()
            self._unpacker = None

    def _hashed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._hasher.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk
