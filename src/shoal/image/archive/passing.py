"""A member of an image archive as it passes: hashed and written down, where it is to be read again."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator

from shoal.image.failures import explained
from shoal.image.layer_archive import ArchiveFile
from shoal.image.tar.reader import write_all
from shoal.oci.digest import Digest


class Passing(ArchiveFile):
    """A LayerArchive of the `size_bytes` in `pieces`, which come but once; the file `fd`, if any, gets them as well."""

    def __init__(self, pieces: Iterator[memoryview], size_bytes: int, fd: int | None) -> None:
        self.size_bytes = size_bytes
        self.is_broken = False  # the archive that it comes from
        self._pieces = pieces
        self._fd = fd
        self._hasher = hashlib.sha256()

    @property
    def digest(self) -> Digest:
        """The digest of what has passed into the file."""
        return Digest(f"sha256:{self._hasher.hexdigest()}")

    def chunks(self) -> Generator[bytes, None, None]:
        """As LayerArchive; what has passed already does not come again.

        Raises while iterating: what reading the archive raises, Internal for a full disk.
        """
        try:
            for piece in self._pieces:
                if self._fd is not None:
                    write_all(self._fd, piece)
                    self._hasher.update(piece)
                yield _as_bytes(piece)
        except OSError as error:
            self.is_broken = True
            raise explained(error, doing="load image") from error
        except Exception:
            self.is_broken = True
            raise

    def finish(self) -> None:
        """Let the rest pass. Raises: as `chunks`."""
        for _ in self.chunks():
            pass


def _as_bytes(piece: memoryview) -> bytes:
    """The piece; without a copy where it is the whole of what it shows a piece of, as nearly always."""
    whole = piece.obj
    return whole if isinstance(whole, bytes) and len(whole) == len(piece) else bytes(piece)
