"""`docker pull`: manifest, configuration, layers several at once, unpacked in their order, and the names last.

    registry ── blobs ──▶ three threads: scratch files, verified ──▶ this thread: unpacked one on top of the other

Nothing of it is an image until all of it is there; what is not needed any more, or never was, is deleted at the end,
however it ends. Layers that exist are not fetched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from shoal.errors import InvalidArgument, ShoalError
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.image import Image, ImageId
from shoal.image.layers import LayerStore
from shoal.image.leases import Leases
from shoal.image.registry.download import Download, read_blob
from shoal.image.registry.failures import Cancelled
from shoal.image.registry.progress import Teller
from shoal.image.registry.resolving import Document, fetch_document, resolve_manifest
from shoal.image.registry.session import Session
from shoal.image.registry.sources import KeptManifest, Sources
from shoal.image.registry.transport import RegistryTransport
from shoal.image.scratch import Scratch
from shoal.oci.descriptor import Descriptor, Manifest
from shoal.oci.digest import Digest, chain_ids_of, parse_digest, short_id
from shoal.oci.image_spec import ImageDocument, decode_image
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

CONFIG_MAX = 8 << 20
_DOWNLOADS = 3


@dataclass(frozen=True, slots=True)
class Storage:
    """The parts of the image store that a pull fills and a push reads."""

    catalog: Catalog
    layers: LayerStore
    leases: Leases
    scratch: Scratch
    sources: Sources
    blobs: BlobStore
    clock_ns: Callable[[], int]
    platform: Platform

    def read_config(self, image: Image) -> bytes:
        """The image's configuration as its digest names it. Raises: NotFound, Internal if it is damaged."""
        return self.blobs.read(image.id)


class Pulled(NamedTuple):
    """An image that is here now; `is_new` if one of its names was not, or meant another one."""

    reference: Reference
    id: ImageId
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
        document, manifest = resolve_manifest(self._session, top, self._platform)
        image_id = ImageId(parse_digest(manifest.config.digest))
        if self._storage.catalog.get(image_id) is None:
            self._fetch(manifest)
        is_new = self._name(image_id, top.digest)
        self._note(image_id, document, manifest)
        self._teller.whole(f"Digest: {top.digest}")
        return Pulled(self._reference, image_id, is_new=is_new)

    def _fetch(self, manifest: Manifest) -> None:
        """Make the image of `manifest`."""
        raw = read_blob(self._session, manifest.config, CONFIG_MAX)
        document = decode_image(raw)
        diff_ids = self._checked_diff_ids(document, manifest)
        chain_ids = chain_ids_of(diff_ids)
        try:
            with self._storage.leases.held(self._reference.normalised(), chain_ids):
                _Layers(self._storage, self._transport, self._session, self._teller).make(
                    manifest.layers, diff_ids, chain_ids
                )
                self._storage.catalog.add(raw)
        finally:
            self._storage.scratch.purge()

    def _checked_diff_ids(self, document: ImageDocument, manifest: Manifest) -> list[Digest]:
        if document.os not in ("", self._storage.platform.os):
            raise InvalidArgument(f"image operating system {document.os[:40]!r} cannot be used on this platform")
        diff_ids = [parse_digest(text) for text in (document.rootfs.diff_ids or ())] if document.rootfs else []
        if len(diff_ids) != len(manifest.layers):
            raise InvalidArgument(
                "invalid image manifest", why=f"{len(manifest.layers)} layers, but {len(diff_ids)} diff IDs"
            )
        return diff_ids

    def _name(self, image_id: ImageId, digest: Digest) -> bool:
        """Give the image the names that it was pulled by; whether any of them is new or moved."""
        reference = self._reference
        by_digest = Reference(reference.domain, reference.path, None, digest)
        names = [by_digest] if reference.digest is not None else [by_digest, reference]
        catalog = self._storage.catalog
        with catalog.lock:
            is_new = False
            for name in names:
                known = catalog.named(name)
                if known is None or known.id != image_id:
                    catalog.tag(name, image_id, self._storage.clock_ns())
                    is_new = True
        return is_new

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


class _Layers:
    """The layers of one image, fetched and unpacked."""

    def __init__(self, storage: Storage, transport: RegistryTransport, session: Session, teller: Teller) -> None:
        self._storage = storage
        self._transport = transport
        self._session = session
        self._teller = teller
        self._stop = _Stop(transport)

    def make(self, blobs: Sequence[Descriptor], diff_ids: Sequence[Digest], chain_ids: Sequence[Digest]) -> None:
        """Nothing, once all of `chain_ids`, which the caller holds, exist."""
        existing = {layer.chain_id for layer in self._storage.layers.all()}
        missing = [index for index, chain_id in enumerate(chain_ids) if chain_id not in existing]
        wanted = set(missing)
        for index, blob in enumerate(blobs):
            self._teller.layer(short_id(blob.digest), "Pulling fs layer" if index in wanted else "Already exists")
        distinct = {blobs[index].digest: blobs[index] for index in missing}
        for blob in list(distinct.values())[_DOWNLOADS:]:
            self._teller.layer(short_id(blob.digest), "Waiting")
        with self._downloads(list(distinct.values())) as files:
            for index in missing:
                blob = blobs[index]
                path = self._stop.cause_of(files[blob.digest])
                hear = self._teller.bytes_of(short_id(blob.digest), "Extracting", blob.size)
                self._storage.layers.ensure(
                    path, chain_ids[:index], chain_ids[index], diff_ids[index], self._unpacking(hear)
                )
                self._teller.layer(short_id(blob.digest), "Pull complete")

    def _unpacking(self, hear: Callable[[int], None]) -> Callable[[int], None]:
        def told(current_bytes: int) -> None:
            self._transport.check()  # the client may leave in the middle of a big layer
            hear(current_bytes)

        return told

    @contextmanager
    def _downloads(self, blobs: Sequence[Descriptor]) -> Iterator[dict[str, Future[str]]]:
        """Files with the blobs, on their way; at the end of the block no thread runs and no file is left."""
        paths = {blob.digest: self._storage.scratch.fresh("blob") for blob in blobs}
        threads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="shoal-pull")
        try:
            yield {blob.digest: threads.submit(self._download, blob, paths[blob.digest]) for blob in blobs}
        except BaseException as error:
            self._stop.set(error)
            raise
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
            for path in paths.values():
                with suppress(FileNotFoundError):  # its download never began
                    os.unlink(path)

    def _download(self, blob: Descriptor, path: str) -> str:
        """The file `path`, once it has the blob."""
        id = short_id(blob.digest)
        tell = self._teller.bytes_of(id, "Downloading", blob.size)

        def hear(current_bytes: int) -> None:
            self._stop.check()
            tell(current_bytes)

        def retrying(attempt: int) -> None:
            self._stop.check()
            self._teller.layer(id, f"Retrying, attempt {attempt}")

        try:
            self._stop.check()
            Download(self._transport, self._session, blob, path, hear, retrying).fetch()
        except BaseException as error:
            self._stop.set(error)
            raise
        self._teller.layer(id, "Verifying Checksum")
        self._teller.layer(id, "Download complete")
        return path


class _Stop:
    """The end of all downloads of an image at the first failure of one, which is the one that is told."""

    def __init__(self, transport: RegistryTransport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._cause: BaseException | None = None

    def set(self, cause: BaseException) -> None:
        """End the others."""
        with self._lock:
            if self._cause is not None:
                return
            self._cause = cause
        self._transport.cut()

    def check(self) -> None:
        """Raises: Cancelled once one has failed."""
        if self._cause is not None:
            raise Cancelled("another layer failed")

    def cause_of(self, download: Future[str]) -> str:
        """The download's result. Raises: what failed first."""
        try:
            return download.result()
        except (ShoalError, CancelledError, OSError) as error:
            raise self._cause or error from None
