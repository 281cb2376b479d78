"""`docker push`: layers several at once, each only if the registry hasn't got it, then configuration and manifest.

What was pulled is sent again under the same digests, and its manifest byte for byte: the registry has the blobs, or
they were kept, or they come from the registry that they were pulled from. What is nowhere else is compressed anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

from shoal.errors import NotFound, ShoalError
from shoal.image.attestations import Attestation, attested, name_of
from shoal.image.image import Image
from shoal.image.registry.failures import Cancelled
from shoal.image.registry.manifests import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    decode_manifest,
    docker_layer,
    encode_manifest,
)
from shoal.image.registry.origins import Origins
from shoal.image.registry.progress import Pushed, Teller
from shoal.image.registry.pull import Storage, note_whereabouts
from shoal.image.registry.resolving import Document
from shoal.image.registry.session import Session
from shoal.image.registry.sources import Source
from shoal.image.registry.transport import RegistryTransport
from shoal.image.registry.uploads import FileContent, Uploads
from shoal.image.tar.compression import gzipped, prefetched
from shoal.oci.descriptor import (
    DOCKER_MANIFEST,
    MEDIA_INDEX,
    MEDIA_MANIFEST,
    Descriptor,
    DescriptorPlatform,
    Manifest,
)
from shoal.oci.digest import Digest, sha256_of, short_id
from shoal.oci.reference import Reference

_UPLOADS = 5
_CANDIDATES = 4


class Push:
    """The image that `reference` names, into its repository, which `session` speaks to."""

    def __init__(
        self,
        storage: Storage,
        transport: RegistryTransport,
        session: Session,
        origins: Origins,
        reference: Reference,
        teller: Teller,
    ) -> None:
        self._storage = storage
        self._transport = transport
        self._uploads = Uploads(transport, session)
        self._origins = origins
        self._silent: set[str] = set()  # registries that did not give what they had
        self._reference = reference
        self._teller = teller
        self._target = reference.name

    def run(self) -> None:
        """Nothing, once the registry has the manifest. Raises: NotFound, Refused, Unreachable, Cancelled, Internal."""
        image = self._storage.catalog.named(self._reference)
        if image is None:
            raise NotFound(f"tag does not exist: {self._reference.familiar()}")
        layers = self._storage.layers
        layers.hold_existing(image.chain_ids)
        try:
            blobs = self._push_layers(image)
            document, manifest = self._document(image, blobs)
            if not self._uploads.exists(manifest.config.digest):
                config = self._storage.read_config(image)
                self._uploads.persistently(lambda: self._uploads.whole(manifest.config.digest, config))
            attestations = self._storage.attestations.of(image.id)
            top = self._attested(image, document, attestations) if attestations else document
            self._uploads.persistently(lambda: self._uploads.manifest(self._reference.tag or "", top))
        finally:
            layers.release(image.chain_ids)
        note_whereabouts(self._storage.sources, image, self._target, document, blobs)
        tag = self._reference.tag or ""
        self._teller.whole(f"{tag}: digest: {top.digest} size: {len(top.raw)}")
        self._teller.tell(Pushed(tag, top.digest, len(top.raw)))
        self._name(image, top.digest)

    def _attested(self, image: Image, document: Document, attestations: Sequence[Attestation]) -> Document:
        """The index of the image's manifest and its attestations, which the registry has then."""
        made_for = image.document
        platform = DescriptorPlatform(made_for.architecture, made_for.os, made_for.os_version, made_for.variant)
        described = Descriptor(document.media_type, document.digest, len(document.raw), None, platform)
        documents = attested(described, name_of(self._reference, image.id), attestations)
        uploads = self._uploads
        for digest, data in documents.blobs:
            if not uploads.exists(digest):
                uploads.persistently(partial(uploads.whole, digest, data))
        second = Document(sha256_of(documents.manifest), MEDIA_MANIFEST, documents.manifest)
        for each in (document, second):
            uploads.persistently(partial(uploads.manifest, each.digest, each))
        return Document(sha256_of(documents.index), MEDIA_INDEX, documents.index)

    def _name(self, image: Image, digest: Digest) -> None:
        """Note the digest under which the registry has it now, as Docker does."""
        by_digest = Reference(self._reference.domain, self._reference.path, None, digest)
        catalog = self._storage.catalog
        with catalog.lock:
            if catalog.named(by_digest) is None and catalog.get(image.id) is not None:
                catalog.tag(by_digest, image.id, self._storage.clock_ns())

    # -- the documents ------------------------------------------------------------------------------------------

    def _document(self, image: Image, blobs: Sequence[Descriptor]) -> tuple[Document, Manifest]:
        """The manifest to send: one that the image came by if it still fits, else a new one."""
        for kept in self._storage.sources.manifests(image.id):
            manifest = decode_manifest(kept.raw)
            if [layer.digest for layer in manifest.layers] == [blob.digest for blob in blobs]:
                return Document(kept.digest, kept.media_type, kept.raw), manifest
        config = Descriptor(DOCKER_CONFIG, image.id, len(self._storage.read_config(image)))
        as_docker = [Descriptor(docker_layer(blob.media_type), blob.digest, blob.size) for blob in blobs]
        raw = encode_manifest(config, as_docker)
        document = Document(sha256_of(raw), DOCKER_MANIFEST, raw)
        return document, Manifest(schema_version=2, config=config, layers=as_docker)

    # -- layers -------------------------------------------------------------------------------------------------

    def _push_layers(self, image: Image) -> list[Descriptor]:
        """The layers' descriptors, bottom first, once the registry has them all."""
        for diff_id in reversed(image.diff_ids):
            self._teller.layer(short_id(diff_id), "Preparing")
        kept = {
            layer.digest
            for manifest in self._storage.sources.manifests(image.id)
            for layer in decode_manifest(manifest.raw).layers
        }
        chains = dict(zip(image.diff_ids, image.chain_ids, strict=True))
        threads = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="shoal-push")
        try:
            done = {diff_id: threads.submit(self._layer, diff_id, chains[diff_id], kept) for diff_id in chains}
            return [done[diff_id].result() for diff_id in image.diff_ids]
        except BaseException:
            self._transport.abandon()
            raise
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def _layer(self, diff_id: Digest, chain_id: Digest, kept: set[str]) -> Descriptor:
        """The blob in the registry that is this layer."""
        id = short_id(diff_id)
        known = sorted(
            self._storage.sources.blobs(diff_id),
            key=lambda source: (source.descriptor.digest not in kept, source.repository != self._target),
        )
        distinct = {source.descriptor.digest: source.descriptor for source in known}
        for descriptor in list(distinct.values())[:_CANDIDATES]:
            if self._uploads.exists(descriptor.digest):
                self._teller.layer(id, "Layer already exists")
                return descriptor
        upload = ""
        for source in [source for source in known if self._is_neighbour(source)][:_CANDIDATES]:
            upload = self._uploads.mount(source.repository.partition("/")[2], source.descriptor.digest)
            if not upload:
                self._teller.layer(id, f"Mounted from {source.repository.partition('/')[2]}")
                return source.descriptor
        uploads = iter([upload])  # what the mount began is good for one try
        for descriptor in distinct.values():
            path = self._storage.kept_blobs.find(chain_id, descriptor.digest)
            if path is not None:
                return self._send_file(id, path, descriptor, uploads)
        for source in known:
            relayed = self._relay(id, source, uploads) if source.descriptor.digest in kept else None
            if relayed is not None:
                return relayed
        compressed = _Compressed(self._storage, self._teller, self._transport, id, chain_id)
        self._uploads.persistently(lambda: self._uploads.stream(compressed, next(uploads, "")))
        self._teller.layer(id, "Pushed")
        return Descriptor(DOCKER_LAYER, compressed.digest, compressed.size_bytes)

    def _send_file(self, id: str, path: str, descriptor: Descriptor, uploads: Iterator[str]) -> Descriptor:
        """Send a blob as it is."""
        content = FileContent(self._teller, self._transport, id, path, descriptor)
        self._uploads.persistently(lambda: self._uploads.stream(content, next(uploads, "")))
        self._teller.layer(id, "Pushed")
        return descriptor

    def _relay(self, id: str, source: Source, uploads: Iterator[str]) -> Descriptor | None:
        """Send a blob on from another registry, so that the image keeps its digest; None if it does not give it."""
        reference = Reference.parse(source.repository)
        if source.repository in self._silent:
            return None
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self._origins.blob(reference, source.descriptor))
            except Cancelled:
                raise
            except ShoalError:
                self._silent.add(source.repository)
                return None
            return self._send_file(id, path, source.descriptor, uploads)

    def _is_neighbour(self, source: Source) -> bool:
        """Whether the blob is in another repository of the same registry."""
        return source.repository != self._target and source.repository.startswith(f"{self._reference.domain}/")


class _Compressed:
    """A layer's tar as gzip, made while it is sent, with what is known of it at the end."""

    def __init__(
        self, storage: Storage, teller: Teller, transport: RegistryTransport, id: str, chain_id: Digest
    ) -> None:
        self._storage = storage
        self._teller = teller
        self._transport = transport
        self._id = id
        self._chain_id = chain_id
        self._hasher = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> Digest:
        """The digest of what was sent."""
        return Digest(f"sha256:{self._hasher.hexdigest()}")

    def begin(self) -> Generator[bytes, None, None]:
        """The compressed bytes, from the first one on."""
        self._hasher, self.size_bytes = hashlib.sha256(), 0
        with closing(prefetched(self._plain())) as plain:  # files are read while others are compressed
            for piece in gzipped(plain):
                self._hasher.update(piece)
                self.size_bytes += len(piece)
                yield piece

    def _plain(self) -> Iterator[bytes]:
        hear = self._teller.bytes_of(self._id, "Pushing", self._storage.layers.get(self._chain_id).archive_size)
        done = 0
        for piece in self._storage.layers.archive(self._chain_id):
            self._transport.check()
            done += len(piece)
            hear(done)
            yield piece
