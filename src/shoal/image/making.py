"""New images from tars: `docker import`, and a layer on top of an image."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

from shoal.image.catalog import Catalog
from shoal.image.changes import apply_changes
from shoal.image.failures import explained
from shoal.image.image import Image, ImageId
from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.image.tar.compression import read_chunks
from shoal.image.tar.reader import write_all
from shoal.oci.digest import Digest
from shoal.oci.documents import changed
from shoal.oci.image_spec import History, ImageConfig, ImageDocument, RootFS, encode_image, rfc3339
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference


class ImageMaker:
    """Makes images for the store; see ImageStore.import_tar and add_layer for what is raised."""

    def __init__(
        self,
        catalog: Catalog,
        layers: LayerStore,
        scratch: Scratch,
        clock_ns: Callable[[], int],
        platform: Platform,
    ) -> None:
        self._catalog = catalog
        self._layers = layers
        self._scratch = scratch
        self._clock_ns = clock_ns
        self._platform = platform

    def import_tar(
        self,
        stream: BinaryIO,
        *,
        changes: Sequence[str],
        message: str,
        platform: Platform | str | None,
        reference: Reference | None,
    ) -> ImageId:
        """The id of a new image whose one layer is the tar in `stream`."""
        config = apply_changes(ImageConfig(), changes)
        wanted = Platform.parse(platform, host=self._platform) if isinstance(platform, str) else platform
        wanted = wanted or self._platform
        now = rfc3339(self._clock_ns())
        document = ImageDocument(
            architecture=wanted.architecture,
            variant=wanted.variant,
            os=wanted.os,
            created=now,
            comment=message,
            config=config,
            history=[],
            rootfs=RootFS(diff_ids=[]),
        )
        step = History(created=now, comment=message)
        return self._add_on_top(document, (), None, lambda path: spool_stream(stream, path), step, reference)

    def add_layer(
        self,
        image: Image,
        fill: Callable[[str], None],
        *,
        config: ImageConfig,
        changes: Sequence[str],
        reference: Reference | None,
        step: History,
    ) -> ImageId:
        """The id of a new image: `image` with one more layer, `config` and `changes`; `step` says how it came about.

        `fill` writes the layer's tar to a new file.
        """
        now = rfc3339(self._clock_ns())
        old = image.document
        document = ImageDocument(
            architecture=old.architecture,
            variant=old.variant,
            os=old.os,
            os_version=old.os_version,
            created=now,
            author=step.author or old.author,
            comment=step.comment,
            config=apply_changes(config, changes),
            history=list(old.history or ()),
            rootfs=RootFS(diff_ids=[*image.diff_ids]),
        )
        self._layers.hold_existing(image.chain_ids)
        try:
            return self._add_on_top(document, image.chain_ids, image.id, fill, changed(step, created=now), reference)
        finally:
            self._layers.release(image.chain_ids)

    def _add_on_top(
        self,
        document: ImageDocument,
        below: tuple[Digest, ...],
        parent: ImageId | None,
        fill: Callable[[str], None],
        step: History,
        reference: Reference | None,
    ) -> ImageId:
        """Make the layer that `fill` writes, complete `document` by it and by `step`, and register the image."""
        spool = self._scratch.fresh("import")
        try:
            fill(spool)
            layer = self._layers.add(spool, below)
        finally:
            _unlink_if_exists(spool)
        try:
            raw = encode_image(_with_layer(document, layer.diff_id, step))
            with self._catalog.lock:
                known_parent = parent if parent and self._catalog.get(parent) else None
                names = [reference.with_default_tag()] if reference is not None else []
                image, _ = self._catalog.add(raw, names, self._clock_ns(), parent=known_parent)
            return image.id
        finally:
            if self._layers.release([Digest(layer.chain_id)]):
                self._scratch.purge()  # the image was not registered


def _with_layer(document: ImageDocument, diff_id: str, step: History) -> ImageDocument:
    diff_ids = (document.rootfs.diff_ids or []) if document.rootfs else []
    history = [*(document.history or ()), step]
    return changed(document, rootfs=RootFS(diff_ids=[*diff_ids, diff_id]), history=history)


def spool_stream(stream: BinaryIO, path: str) -> None:
    """Write all of `stream` to the new file `path`. Raises: Internal for a full disk; what reading raises."""

    def copy(write: Callable[[bytes | memoryview], object]) -> None:
        for chunk in read_chunks(stream):
            write(chunk)

    spool_written(copy, path, doing="import image")


def spool_written(produce: Callable[[Callable[[bytes | memoryview], object]], None], path: str, *, doing: str) -> None:
    """Write to the new file `path` what `produce` writes. Raises: Internal for a full disk; what `produce` raises."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(error, doing=doing) from error

    def write(data: bytes | memoryview) -> None:
        try:
            write_all(fd, memoryview(data))
        except OSError as error:
            raise explained(error, doing=doing) from error

    try:
        produce(write)
    finally:
        os.close(fd)


def _unlink_if_exists(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it was never made
