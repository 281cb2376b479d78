"""Layers of an archive, unpacked while the archive is still on its way.

The table of contents comes last: which members are layers, and what they will lie on, is guessed from their first
bytes and found out at the end. A guess costs time at the most: what nobody asks for is dropped, and a member that could
not be unpacked is told only if an image needs it.
"""

from __future__ import annotations

import re

from shoal.errors import ShoalError
from shoal.image.archive.passing import Passing
from shoal.image.failures import DiskFull, explained
from shoal.image.layers import LayerStore
from shoal.image.tar.compression import compression_of
from shoal.image.tar.header import BLOCK, REGULAR, TarEntry
from shoal.image.unpacking import Unpacking
from shoal.oci.digest import Digest

_WORTH_BYTES = 1 << 18  # below, it costs more than it saves
_MAGIC = slice(257, 262)  # of a tar: `ustar`
_HEX = re.compile(rb"[0-9a-f]{64}")


def is_plain(head: bytes) -> bool:
    """Whether the first bytes of a member are those of a tar without compression."""
    return head[_MAGIC] == b"ustar"


class Ahead:
    """Unpacks members, known by their `key`. Use in a `with` block, at whose end nothing is left of it."""

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers
        self._unpacked: dict[str, Unpacking] = {}

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._unpacked):
            self.forget(key)

    def may_be_new(self, entry: TarEntry, head: bytes) -> bool:
        """Whether the member that begins with `head` may be a layer that does not exist."""
        if entry.kind != REGULAR or entry.size < _WORTH_BYTES or len(head) < BLOCK:
            return False
        if not (is_plain(head) or compression_of(head)):
            return False
        # Newer archives name layers by their digests.
        return not any(self._layers.has_diff(f"sha256:{digits.decode()}") for digits in _HEX.findall(entry.name))

    def unpack(self, key: str, passing: Passing) -> ShoalError | None:
        """Unpack the member; returns why that can't be done, if it is the member's fault.

        Raises: what the archive around it raises, Internal for a full disk.
        """
        unpacking = self._layers.begin(passing)
        self._unpacked[key] = unpacking
        try:
            unpacking.run()
        except (ShoalError, OSError) as error:
            self.forget(key)
            problem = explained(error, doing="load image") if isinstance(error, OSError) else error
            if passing.is_broken or isinstance(problem, DiskFull):
                raise problem from None
            return problem
        return None

    def digest_of(self, key: str) -> Digest:
        """The digest of the plain tar in the member that was unpacked."""
        return self._unpacked[key].diff_id

    def take(self, key: str) -> Unpacking | None:
        """The unpacked member, the caller's now; None if it was not unpacked."""
        return self._unpacked.pop(key, None)

    def forget(self, key: str) -> None:
        """Throw away what was unpacked of the member."""
        unpacking = self.take(key)
        if unpacking is not None:
            self._layers.drop(unpacking)
