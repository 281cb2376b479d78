"""`shoal fsck`: every digest, reference and snapshot of the store looked at, and mended where that is possible.

    configuration   its digest is the image's id                     mended: from the registry that it came from, else
                                                                             the image is given up
    layer           its files give the archive of its diffID, and    mended: from its own archive, as long as the bytes
                    are, and have, what the archive says                     are there; else from the registry; else its
                                                                             images are given up
    reference       layers have their parents, snapshots their       mended: no; the image is pulled or loaded again
                    layers and directories
    garbage         blobs and directories that nobody knows          mended: deleted

Works beside everything else that the store does: what is looked at is held meanwhile, and what is removed meanwhile is
passed over. Nothing changes unless `repair` is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from shoal.errors import InvalidArgument, NotFound, ShoalError, Unavailable
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.difference import file_differences
from shoal.image.image import Image, ImageId
from shoal.image.layer_archive import LayerArchive
from shoal.image.layer_check import deviations
from shoal.image.layers import Layer, LayerStore
from shoal.image.registry.failures import Cancelled
from shoal.image.scratch import Scratch
from shoal.image.skeleton import DamagedLayer
from shoal.image.snapshot.protocol import Snapshotter
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest, hex_of, short_id
from shoal.oci.reference import Reference
from shoal.oci.rootfs import OverlayRootfs

_TOLD_AT_MOST = 3
_AGAIN = "repeat shoal fsck --repair when the registry answers"


class Origin(Protocol):
    """Whoever has what the store has lost (registry/origins.py)."""

    def layer(self, diff_id: Digest) -> AbstractContextManager[LayerArchive]:
        """The archive of a layer, within the block. Raises: ShoalError."""

    def config(self, image: Image) -> bytes:
        """The configuration of an image. Raises: ShoalError."""

    def blob(self, repository: Reference, descriptor: Descriptor) -> AbstractContextManager[str]:
        """Where a blob of the repository lies, within the block. Raises: ShoalError."""


class Finding(NamedTuple):
    """Something wrong. `cause` is a word for programs; `hint` says how to mend it, "" where it is mended."""

    cause: str
    subject: str
    sentence: str
    hint: str
    is_mended: bool


class Attempt(NamedTuple):
    """What came of fetching something again: `failure` is the end of a sentence, `hint` is there if it may go yet."""

    failure: str
    hint: str

    @classmethod
    def of(cls, fetch: Callable[[], None]) -> Attempt:
        """What comes of `fetch`. Raises: Cancelled."""
        try:
            fetch()
        except Cancelled:
            raise  # whoever watched has left: nothing more is to be given up
        except (ShoalError, OSError) as error:
            return cls(f"; it can't be fetched again: {error}", _AGAIN if isinstance(error, Unavailable) else "")
        return cls("", "")


class Checked(NamedTuple):
    """What has been looked at so far, whatever was found."""

    images: int
    layers: int
    snapshots: int
    size_bytes: int


class Fsck:
    """One look through the whole store. `busy` are layers that running containers see: their files stay as they are.

    What is lost is asked of `origin`, where `repair` is set and there is one.
    """

    def __init__(
        self,
        catalog: Catalog,
        layers: LayerStore,
        blobs: BlobStore,
        snapshotter: Snapshotter,
        scratch: Scratch,
        *,
        repair: bool,
        busy: Collection[Digest],
        origin: Origin | None,
    ) -> None:
        self._catalog = catalog
        self._layers = layers
        self._blobs = blobs
        self._snapshotter = snapshotter
        self._scratch = scratch
        self._repair = repair
        self._busy = busy
        self._origin = origin
        self._size = 0

    def run(self) -> Iterator[Finding | Checked]:
        """What is found, as it is found; how far it is, now and then; at the end the whole. Raises: OSError."""
        layers = sorted(self._layers.all(), key=lambda layer: layer.chain_id)
        for number, layer in enumerate(layers):
            yield Checked(0, number, 0, self._size)
            yield from self._layer(layer)
        images = self._catalog.images()
        for image in images:
            yield from self._image(image)
        keys = self._snapshotter.keys()
        for key in keys:
            yield from self._snapshot(key)
        yield from self._garbage()
        self._scratch.purge()
        yield Checked(len(images), len(layers), len(keys), self._size)

    # -- layers -------------------------------------------------------------------------------------------------

    def _layer(self, layer: Layer) -> Iterator[Finding]:
        chain_id = Digest(layer.chain_id)
        try:
            self._layers.hold_existing([chain_id])
        except NotFound:
            return  # removed meanwhile
        lost = None
        try:
            yield from self._altered(layer, chain_id)
        except (DamagedLayer, InvalidArgument, FileNotFoundError, NotADirectoryError) as error:
            lost = error
        except (ShoalError, OSError) as error:
            # The machine's fault: nothing is known of the layer, least of all that it is damaged.
            hint = getattr(error, "fix", "") or "repeat shoal fsck"
            yield Finding(
                "layer-unchecked",
                chain_id,
                f"{self._called(chain_id)} can't be checked: {error}",
                hint,
                is_mended=False,
            )
        finally:
            self._layers.release([chain_id])
        self._size += layer.archive_size
        if layer.parent is not None and Digest(layer.parent) not in self._known():
            lost = lost or DamagedLayer("damaged layer", why=f"layer {short_id(layer.parent)} below it is missing")
        if lost is not None:
            yield self._lost(layer, lost)

    def _altered(self, layer: Layer, chain_id: Digest) -> Iterator[Finding]:
        """Raises: DamagedLayer, InvalidArgument, FileNotFoundError where its bytes are lost; OSError, Internal."""
        wrong = self._wrong(layer, chain_id)
        if not wrong:
            return
        told = "; ".join(wrong[:_TOLD_AT_MOST]) + (f"; and {len(wrong) - _TOLD_AT_MOST} more" * (len(wrong) > 3))
        is_mended, hint = False, "shoal fsck --repair"
        if self._repair and chain_id in self._busy:
            hint = "stop the containers that run on it, and repeat shoal fsck --repair"
        elif self._repair:
            try:
                self._layers.renew(chain_id)
                is_mended, hint = True, ""
            except (ShoalError, OSError) as error:
                told += f"; it can't be made anew: {error}"
                hint = getattr(error, "fix", "") or "repeat shoal fsck --repair"
        yield Finding(
            "layer-altered", chain_id, f"{self._called(chain_id)} was changed: {told}", hint, is_mended=is_mended
        )

    def _wrong(self, layer: Layer, chain_id: Digest) -> list[str]:
        if layer.is_rebuildable:
            return deviations(self._layers.tree(chain_id), self._layers.archive(chain_id))
        directory = self._layers.unpack_again(chain_id)
        try:
            changes = file_differences([os.path.join(directory, "diff")], [self._layers.tree(chain_id)])
            return [f"{change.path} is not as it was" for change in changes]
        finally:
            self._scratch.discard(directory)

    def _lost(self, layer: Layer, error: Exception) -> Finding:
        """A layer whose bytes are not all there. With `repair` they are fetched; else its images go."""
        chain_id = Digest(layer.chain_id)
        images = [image for image in self._catalog.images() if chain_id in image.chain_ids]
        names = [name for image in images for name in image.repo_tags or [image.id]]
        why = error.why if isinstance(error, ShoalError) and error.why else str(error)
        sentence = f"{self._called(chain_id)} has lost content: {why}"
        if self._repair and chain_id not in self._busy:
            failure, hint = Attempt.of(lambda: self._fetch(layer))
            if not failure:
                return Finding("layer-lost", chain_id, f"{sentence}; it was fetched again", "", is_mended=True)
            sentence += failure
            if hint:
                return Finding("layer-lost", chain_id, sentence, hint, is_mended=False)
        again = f"pull or load again: {', '.join(names)}" if names else ""
        holders = [key for key in self._snapshotter.keys() if chain_id in self._snapshotter.chain(key)]  # noqa: SIM118
        if holders:
            verb = "stop or remove" if chain_id in self._busy else "remove"
            hint = f"{verb} the containers on it ({', '.join(key[:12] for key in holders)}), and repeat; then {again}"
            return Finding("layer-lost", chain_id, sentence, hint, is_mended=False)
        if not self._repair:
            return Finding("layer-lost", chain_id, sentence, f"shoal fsck --repair, then {again}", is_mended=False)
        for image in images:
            self._give_up(image.id)
        if chain_id in self._known():
            hint = f"shoal system prune, for the build cache has it too; then {again}".removesuffix("; then ")
            return Finding("layer-lost", chain_id, f"{sentence}; its images are removed", hint, is_mended=False)
        return Finding("layer-lost", chain_id, f"{sentence}; its images are removed", again, is_mended=True)

    def _fetch(self, layer: Layer) -> None:
        """Make a layer anew out of what a registry has. Raises: ShoalError, OSError."""
        chain_id = Digest(layer.chain_id)
        self._layers.hold_existing([chain_id])
        try:
            with self._known_origin().layer(Digest(layer.diff_id)) as archive:
                self._layers.restore(archive, chain_id)
        finally:
            self._layers.release([chain_id])

    def _known_origin(self) -> Origin:
        if self._origin is None:
            raise NotFound("no registry is asked")
        return self._origin

    def _called(self, chain_id: Digest) -> str:
        """The layer as a user knows it."""
        images = [image for image in self._catalog.images() if chain_id in image.chain_ids]
        of = ", ".join(name for image in images for name in image.repo_tags or [short_id(image.id)])
        return f"layer {short_id(chain_id)}" + (f" of {of}" if of else "")

    def _known(self) -> set[Digest]:
        return {Digest(layer.chain_id) for layer in self._layers.all()}

    # -- images and snapshots -----------------------------------------------------------------------------------

    def _image(self, image: Image) -> Iterator[Finding]:
        name = ", ".join(image.repo_tags) or short_id(image.id)
        try:
            self._blobs.read(image.id)
        except (ShoalError, OSError) as error:
            if self._catalog.get(image.id) is None:
                return  # removed meanwhile
            sentence = f"the configuration of {name} is damaged: {error}"
            if not self._repair:
                hint = f"shoal fsck --repair, then pull or load again: {name}"
                yield Finding("configuration-damaged", image.id, sentence, hint, is_mended=False)
                return
            attempt = Attempt.of(lambda: self._fetch_config(image))
            if attempt.hint or not attempt.failure:
                told = f"{sentence}{attempt.failure or '; it was fetched again'}"
                is_mended = not attempt.failure
                yield Finding("configuration-damaged", image.id, told, attempt.hint, is_mended=is_mended)
                return
            self._give_up(image.id)
            gone = f"{sentence}{attempt.failure}; the image is removed"
            yield Finding("configuration-damaged", image.id, gone, f"pull or load again: {name}", is_mended=True)
            return
        missing = [chain_id for chain_id in image.chain_ids if chain_id not in self._known()]
        if missing and self._catalog.get(image.id) is not None:
            sentence = f"{name} lacks {len(missing)} of its layers, {short_id(missing[0])} first"
            if self._repair:
                self._give_up(image.id)
            yield Finding("layer-missing", image.id, sentence, f"pull or load again: {name}", is_mended=self._repair)

    def _fetch_config(self, image: Image) -> None:
        """Put the configuration that a registry has in its place. Raises: ShoalError."""
        self._blobs.put(self._known_origin().config(image), anew=True)

    def _give_up(self, image_id: ImageId) -> None:
        """Remove the image with its names; containers keep the layers that they stand on."""
        with self._catalog.lock:
            image = self._catalog.get(image_id)
            if image is not None:
                self._catalog.untag(image.references)
                self._catalog.delete(image_id)

    def _snapshot(self, key: str) -> Iterator[Finding]:
        try:
            rootfs, chain = self._snapshotter.rootfs(key), self._snapshotter.chain(key)
        except NotFound:
            return  # removed meanwhile
        own = (rootfs.upper, rootfs.work) if isinstance(rootfs, OverlayRootfs) else (rootfs.path,)
        sentence = ""
        if missing := [chain_id for chain_id in chain if not os.path.isdir(self._layers.tree(chain_id))]:
            sentence = f"container {key[:12]} stands on layer {short_id(missing[0])}, which is missing"
            hint = "pull or load its image again and restart shoald, or remove the container"
        elif lost := [path for path in own if not os.path.isdir(path)]:
            sentence = f"container {key[:12]} has lost its directory {lost[0]}"
            hint = f"shoal rm {key[:12]}"
        if sentence and key in self._snapshotter.keys():  # noqa: SIM118
            yield Finding("snapshot-damaged", key, sentence, hint, is_mended=False)

    # -- garbage ------------------------------------------------------------------------------------------------

    def _garbage(self) -> Iterator[Finding]:
        with self._catalog.lock:
            blobs = [digest for digest in self._blobs.digests() if self._catalog.get(ImageId(digest)) is None]
            strangers = self._layers.strangers()
            if self._repair:
                for digest in blobs:
                    self._blobs.delete(digest)
                for name in strangers:
                    self._layers.discard_stranger(name)
        for digest in blobs:
            yield self._unneeded("blob", digest, f"blob {hex_of(digest)[:12]} belongs to no image")
        for name in strangers:
            yield self._unneeded("directory", name, f"{name!r} among the layers is none")

    def _unneeded(self, kind: str, subject: str, sentence: str) -> Finding:
        told = f"{sentence}; it is deleted" if self._repair else sentence
        hint = "" if self._repair else "shoal fsck --repair"
        return Finding(f"{kind}-unneeded", subject, told, hint, is_mended=self._repair)
