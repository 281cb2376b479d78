"""Pushes the cache of a build: layers as those of an image, and a manifest whose configuration says which is whose."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.image.registry.push import Push
from shoal.image.registry.resolving import Document
from shoal.oci.descriptor import MEDIA_MANIFEST, Descriptor, Manifest
from shoal.oci.digest import Digest, sha256_of
from shoal.oci.documents import encode_document


class CachePush(Push):
    """One cache, to the repository and tag of the reference."""

    def push_cache(self, media_type: str, config: bytes, layers: Sequence[tuple[Digest, Digest]]) -> Digest:
        """The manifest's digest, once the registry has all; `layers` are diffIDs and chainIDs, which the caller holds.

        Raises: as `run`.
        """
        blobs = [self._layer(diff_id, chain_id, set()) for diff_id, chain_id in layers]
        described = Descriptor(media_type, sha256_of(config), len(config))
        if not self._uploads.exists(described.digest):
            self._uploads.persistently(lambda: self._uploads.whole(described.digest, config))
        manifest = Manifest(
            schema_version=2,
            media_type=MEDIA_MANIFEST,
            config=described,
            layers=blobs,
        )
        raw = encode_document(manifest)
        document = Document(sha256_of(raw), MEDIA_MANIFEST, raw)
        self._uploads.persistently(lambda: self._uploads.manifest(self._reference.tag or "", document))
        return document.digest
