"""`docker load`: the images of an archive, one after the other, into the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO

from shoal.errors import InvalidArgument
from shoal.image.archive.ahead import Ahead
from shoal.image.archive.contents import Planned, chosen_of, read_contents
from shoal.image.archive.members import Member, Members
from shoal.image.catalog import Catalog
from shoal.image.failures import explained
from shoal.image.image import LayerProgress, Loaded, LoadEvent, Renamed, check_depth
from shoal.image.layer_archive import ArchiveFile, LayerArchive, Progress
from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.oci.digest import Digest, chain_ids_of, parse_digest
from shoal.oci.image_spec import decode_image
from shoal.oci.platform import Platform

OnProgress = Callable[[LayerProgress], None]
_STEPS = 50  # of progress told within a layer, at the most
_STEP_BYTES = 1 << 20


class Loader:
    """Loads archives for the store; see ImageStore.load."""

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

    def load(
        self, stream: BinaryIO, progress: OnProgress | None, platform: Platform | None
    ) -> Generator[LoadEvent, None, None]:
        """Load every image of the archive in `stream`, or those for `platform`, telling what happens."""
        directory = self._scratch.fresh("load")
        try:
            os.mkdir(directory, 0o700)
        except OSError as error:
            raise explained(error, doing="load image") from error
        try:
            with Ahead(self._layers) as ahead:
                members = Members(directory, ahead)
                members.take(stream)
                for planned in chosen_of(read_contents(members, platform or self._platform), platform):
                    yield from self._load_one(planned, ahead, progress)
        finally:
            self._scratch.discard(directory)
            self._scratch.purge()

    def _load_one(self, planned: Planned, ahead: Ahead, progress: OnProgress | None) -> Iterator[LoadEvent]:
        config = planned.config()
        document = decode_image(config)
        if document.os not in ("", self._platform.os):
            raise InvalidArgument(f"cannot load {document.os} image on {self._platform.os}")
        diff_ids = [parse_digest(text) for text in (document.rootfs.diff_ids or ())] if document.rootfs else []
        if len(diff_ids) != len(planned.layers):
            raise InvalidArgument(
                f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(planned.layers)}"
            )
        check_depth(len(diff_ids))
        chain_ids = chain_ids_of(diff_ids)
        with self._layers.held(chain_ids):
            for index, member in enumerate(planned.layers):
                yield LayerProgress(diff_ids[index], 0, member.size_bytes)
                if self._layers.has(chain_ids[index]):
                    ahead.forget(member.path)
                else:
                    hear = _in_steps(progress, diff_ids[index], member.size_bytes) if progress else None
                    archive = ahead.take(member.path) or self._archive(member, hear)
                    self._layers.ensure(archive, chain_ids[:index], chain_ids[index], diff_ids[index])
                yield LayerProgress(diff_ids[index], member.size_bytes, member.size_bytes)
            image, previous = self._catalog.add(config, planned.names, self._clock_ns())
        for reference, older in zip(planned.names, previous, strict=True):
            if older is not None:
                yield Renamed(reference.familiar(), older)
        for reference in planned.names:
            yield Loaded(image.id, reference.familiar())
        if not planned.names:
            yield Loaded(image.id, None)

    def _archive(self, member: Member, hear: Progress | None) -> LayerArchive:
        """The archive of a layer that was not unpacked ahead, or that an image before this one has taken."""
        return ArchiveFile(member.path, hear) if member.is_kept else self._layers.archive_of(member.digest)


def _in_steps(progress: OnProgress, diff_id: Digest, total_bytes: int) -> Progress:
    """A listener for a layer's bytes that tells `progress` of every step, not of every piece."""
    step = max(_STEP_BYTES, total_bytes // _STEPS)
    told = 0

    def hear(current_bytes: int) -> None:
        nonlocal told
        if current_bytes - told >= step:
            told = current_bytes
            progress(LayerProgress(diff_id, current_bytes, total_bytes))

    return hear
