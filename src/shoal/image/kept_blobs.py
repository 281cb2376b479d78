"""Compressed layers as registries sent them, kept beside the unpacked ones: with `"image-drop-blobs": false` alone.

    compressed/<chain hex>.<algorithm>-<hex>    the blob of a layer, by the layer's chainID and its own digest

A blob goes with its layer. One that is missing is no damage: a push gets it elsewhere, or compresses anew. Thread-safe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from shoal.errors import InvalidArgument
from shoal.image.registry.sources import Sources
from shoal.oci.digest import Digest, algorithm_of, hex_of, parse_digest


class LayerBlob(NamedTuple):
    """The compressed blob of the layer `chain_id`."""

    chain_id: Digest
    digest: Digest
    path: str


class KeptBlobs:
    """The blobs in the directory `root`; new ones come only if it `keeps`."""

    def __init__(self, root: str, *, keeps: bool) -> None:
        self._root = root
        self._keeps = keeps
        self._lock = threading.Lock()
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._blobs = {blob.chain_id: blob for blob in self._scan()}

    def all(self) -> Collection[LayerBlob]:
        """What is here."""
        return list(self._blobs.values())

    def find(self, chain_id: Digest, digest: str) -> str | None:
        """Where the blob `digest` of this layer lies."""
        blob = self._blobs.get(chain_id)
        return blob.path if blob is not None and blob.digest == digest else None

    def keep(self, chain_id: Digest, digest: Digest, path: str) -> None:
        """Keep the verified blob at `path`, which is linked to, if blobs are kept. Raises: OSError."""
        if not self._keeps:
            return
        target = os.path.join(self._root, f"{hex_of(chain_id)}.{algorithm_of(digest)}-{hex_of(digest)}")
        with self._lock:
            if chain_id not in self._blobs:
                os.link(path, target)
                self._blobs[chain_id] = LayerBlob(chain_id, digest, target)

    def forget(self, chain_id: Digest) -> None:
        """The blob of this layer goes, if there is one."""
        with self._lock:
            blob = self._blobs.pop(chain_id, None)
            if blob is not None:
                with suppress(FileNotFoundError):
                    os.unlink(blob.path)

    def sweep(self, layers: Mapping[str, str], sources: Sources) -> None:
        """For the start: those go that are of no layer, and, where none are kept, those that a registry has.

        `layers` has the diffID of each layer that exists, by its chainID.
        """
        for blob in self.all():
            diff_id = layers.get(blob.chain_id)
            if diff_id is None or (not self._keeps and sources.blobs(Digest(diff_id))):
                self.forget(blob.chain_id)

    def _scan(self) -> Iterator[LayerBlob]:
        for name in os.listdir(self._root):
            chain, _, rest = name.partition(".")
            with suppress(InvalidArgument):  # nobody's, which is what fsck is for
                chain_id, digest = parse_digest(f"sha256:{chain}"), parse_digest(rest.replace("-", ":", 1))
                yield LayerBlob(chain_id, digest, os.path.join(self._root, name))
