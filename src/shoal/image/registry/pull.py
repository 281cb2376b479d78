"""`docker pull`: manifest, configuration, layers (arrival.py), and in the end the image with its names, in one step.

Nothing of it is an image until all of it is there. Layers that exist are not fetched. What came of the blobs is kept if
the pull fails, so that the next one goes on there (partials.py); all else is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shoal.errors import InvalidArgument
from shoal.image.artifacts import Artifacts
from shoal.image.attestations import Attestations
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.image import Image, ImageId
from shoal.image.kept_blobs import KeptBlobs
from shoal.image.layers import LayerStore
from shoal.image.leases import Leases
from shoal.image.partials import Partials
from shoal.image.registry.arrival import Arrival
from shoal.image.registry.artifact_pull import ArtifactPull
from shoal.image.registry.download import read_blob
from shoal.image.registry.manifests import decode_manifest, is_artifact
from shoal.image.registry.progress import Teller
from shoal.image.registry.resolving import Document, fetch_document, resolve_document
from shoal.image.registry.session import Session
from shoal.image.registry.sources import KeptManifest, Sources
from shoal.image.registry.transport import RegistryTransport
from shoal.image.scratch import Scratch
from shoal.oci.descriptor import Descriptor, Manifest
from shoal.oci.digest import Digest, chain_ids_of, parse_digest
from shoal.oci.image_spec import ImageDocument, decode_image
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

CONFIG_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Storage:
    """The parts of the image store that a pull fills and a push reads."""

    catalog: Catalog
    layers: LayerStore
    leases: Leases
    scratch: Scratch
    partials: Partials
    sources: Sources
    attestations: Attestations
    blobs: BlobStore
    artifacts: Artifacts
    kept_blobs: KeptBlobs
    clock_ns: Callable[[], int]
    platform: Platform

    def read_config(self, image: Image) -> bytes:
        """The image's configuration as its digest names it. Raises: NotFound, Internal if it is damaged."""
        return self.blobs.read(image.id)

    def is_artifact(self, reference: Reference) -> bool:
        """Whether what has this name, or all that has a name in this repository, is no image."""
        artifacts = self.artifacts.in_repository(reference.name)
        if reference.tag is None:
            return bool(artifacts) and not self.catalog.in_repository(reference.name)
        return reference in artifacts and self.catalog.named(reference) is None


class Pulled(NamedTuple):
    """An image that is here now, or an artifact (`id` is None); `is_new` if a name of it was not, or meant another."""

    reference: Reference
    id: ImageId | None
    is_new: bool


class Pull:
    """One reference from one repository of a registry, which `session` speaks to."""

    def __init__(
        self,
        storage: Storage,
        transport: RegistryTransport,
        session: Session,
        reference: Reference,
        platform: Platform,
        teller: Teller,
    ) -> None:
        self._storage = storage
        self._transport = transport
        self._session = session
        self._reference = reference
        self._platform = platform
        self._teller = teller

    def run(self) -> Pulled:
        """The image, once it is there with its names.

        Raises: Refused, Unreachable, Cancelled; InvalidArgument for what is no image or not what its digest says.
        """
        reference = self._reference
        top = fetch_document(self._session, reference)
        self._teller.whole(f"Pulling from {reference.path}", id=reference.digest or reference.tag or "")
        document = resolve_document(self._session, top, self._platform)
        if is_artifact(document.raw):
            parts = (self._storage.artifacts, self._storage.partials, self._transport, self._session, self._teller)
            is_new = ArtifactPull(*parts).run(reference, document, self._storage.clock_ns())
            self._teller.whole(f"Digest: {top.digest}")
            return Pulled(reference, None, is_new=is_new)
        manifest = decode_manifest(document.raw)
        image_id = ImageId(parse_digest(manifest.config.digest))
        known = self._storage.catalog.get(image_id)
        if known is None:
            is_new = self._fetch(manifest, image_id, top.digest)
        else:
            is_new = self._register(self._storage.read_config(known), image_id, top.digest)
        self._note(image_id, document, manifest)
        self._teller.whole(f"Digest: {top.digest}")
        return Pulled(self._reference, image_id, is_new=is_new)

    def _fetch(self, manifest: Manifest, image_id: ImageId, digest: Digest) -> bool:
        """Make the image of `manifest`; as `_register`."""
        raw = read_blob(self._session, manifest.config, CONFIG_MAX)
        diff_ids = self._checked_diff_ids(decode_image(raw), manifest)
        chain_ids = chain_ids_of(diff_ids)
        storage = self._storage
        try:
            with storage.leases.held(self._reference.normalised(), chain_ids):
                kept = storage.kept_blobs
                arrival = Arrival(storage.layers, storage.partials, kept, self._transport, self._session, self._teller)
                arrival.make(manifest.layers, diff_ids, chain_ids)
                is_new = self._register(raw, image_id, digest)
        finally:
            storage.scratch.purge()
        storage.partials.discard(manifest.layers)
        return is_new

    def _checked_diff_ids(self, document: ImageDocument, manifest: Manifest) -> list[Digest]:
        if document.os not in ("", self._storage.platform.os):
            raise InvalidArgument(f"image operating system {document.os[:40]!r} cannot be used on this platform")
        diff_ids = [parse_digest(text) for text in (document.rootfs.diff_ids or ())] if document.rootfs else []
        if len(diff_ids) != len(manifest.layers):
            raise InvalidArgument(
                "invalid image manifest", why=f"{len(manifest.layers)} layers, but {len(diff_ids)} diff IDs"
            )
        return diff_ids

    def _register(self, raw: bytes, image_id: ImageId, digest: Digest) -> bool:
        """Make it an image with the names that it was pulled by; whether any of them is new or moved."""
        reference = self._reference
        by_digest = Reference(reference.domain, reference.path, None, digest)
        catalog = self._storage.catalog
        with catalog.lock:
            asked = [by_digest] if reference.digest is not None else [by_digest, reference]
            named = [(name, catalog.named(name)) for name in asked]
            new = [name for name, known in named if known is None or known.id != image_id]
            catalog.add(raw, new, self._storage.clock_ns())
        return bool(new)

    def _note(self, image_id: ImageId, document: Document, manifest: Manifest) -> None:
        image = self._storage.catalog.get(image_id)
        if image is not None:
            note_whereabouts(self._storage.sources, image, self._reference.name, document, manifest.layers)


def note_whereabouts(
    sources: Sources, image: Image, repository: str, document: Document, layers: Sequence[Descriptor]
) -> None:
    """Remember which blobs of `repository` the image's layers are, and its manifest."""
    sources.note_blobs(repository, zip(image.diff_ids, layers, strict=True))
    sources.note_manifest(image.id, KeptManifest(document.digest, document.media_type, document.raw))
