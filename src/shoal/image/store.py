"""The image store: everything that Docker's image commands need, without knowing containers or HTTP.

Runs in shoald; every method blocks, is thread-safe and is meant for an executor, except `get`, which only reads memory
(a few microseconds). On disk, under the data root: blobs/ (configurations), layers/ (unpacked, by chainID), tmp/image/
(scratch and trash), and the tables image_* of the database. A crash at any moment leaves whole images, and trash that
the next start takes away.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from shoal.errors import InvalidArgument
from shoal.image.archive.choice import choose
from shoal.image.archive.contents import Planned, read_contents
from shoal.image.archive.members import Members
from shoal.image.archive.save import ArchiveWriter
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.changes import apply_changes
from shoal.image.filters import ImageFilters, select
from shoal.image.image import (
    HistoryEntry,
    Image,
    ImageId,
    InUse,
    LayerProgress,
    Loaded,
    LoadEvent,
    Removal,
    Renamed,
)
from shoal.image.layers import Layer, LayerStore
from shoal.image.removal import Remover
from shoal.image.scratch import Scratch
from shoal.image.snapshot.choice import open_snapshotter
from shoal.image.snapshot.protocol import Snapshotter
from shoal.image.tar.compression import read_chunks
from shoal.image.tar.reader import write_all
from shoal.image.unpack import explained
from shoal.oci.digest import Digest, chain_ids_of, parse_digest
from shoal.oci.image_spec import (
    History,
    ImageConfig,
    ImageDocument,
    RootFS,
    decode_image,
    encode_image,
    rfc3339,
    unix_ns,
)
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

_NO_FILTERS = ImageFilters()


class ByteSink(Protocol):
    """Where an archive is written: a file, or anything that takes all bytes it is given."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take all of `data`."""


class ImageStore:
    """The images under the data root `root`.

    `connect` makes a connection to the daemon's database for the store alone; it must allow use from several threads
    (`check_same_thread=False`). `driver` names the snapshotter (`overlay2`, `vfs`, None = the best here). What an
    earlier process left of images, layers and scratch files that nothing needs is discarded now.
    Raises: InvalidArgument for an unknown driver; OSError.
    """

    def __init__(
        self,
        root: Path | str,
        connect: Callable[[], sqlite3.Connection],
        *,
        driver: str | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        platform: Platform | None = None,
    ) -> None:
        self._root = str(root)
        os.makedirs(self._root, mode=0o710, exist_ok=True)
        self._clock_ns = clock_ns
        self._platform = platform or Platform.of_machine(os.uname().machine)
        self._scratch = Scratch(os.path.join(self._root, "tmp", "image"))
        self._blobs = BlobStore(os.path.join(self._root, "blobs"), self._scratch.path)
        self._layers = LayerStore(os.path.join(self._root, "layers"), self._scratch)
        self._catalog = Catalog(connect, self._blobs, self._layers)
        directory = os.path.join(self._root, "snapshots")
        self._snapshotter = open_snapshotter(directory, self._layers, self._scratch, driver=driver)
        self._catalog.collect_garbage()

    @property
    def snapshotter(self) -> Snapshotter:
        """The snapshotter on this store's layers."""
        return self._snapshotter

    @property
    def problems(self) -> Sequence[str]:
        """What was found damaged at the start, and left out: for the log."""
        return self._catalog.problems

    def close(self) -> None:
        """Close the database connection."""
        self._catalog.close()

    # -- asking -------------------------------------------------------------------------------------------------

    def get(self, text: str) -> Image:
        """The image that a user means by `text`: a name, an id, or the beginning of an id.

        Raises: NotFound `No such image: X:latest`, InvalidArgument `invalid reference format`.
        """
        return self._catalog.resolve(text)

    def list(self, filters: ImageFilters = _NO_FILTERS, *, show_all: bool = False) -> list[Image]:
        """The images, the newest first; without `show_all`, no nameless ones that others were made on top of."""
        images = self._catalog.images()
        parents = {image.parent for image in images}
        return select(
            images,
            filters,
            show_all=show_all,
            resolve=self._catalog.resolve,
            has_children=lambda image: image.id in parents,
        )

    def find(self, image_id: str) -> Image | None:
        """The image of this full id, or None."""
        return self._catalog.get(ImageId(Digest(image_id)))

    def images(self) -> Sequence[Image]:
        """All images, the newest first."""
        return self._catalog.images()

    def layers_size(self) -> int:
        """Bytes of all images' layers, each counted once."""
        return sum(layer.size_bytes for layer in self._layers.all())

    def shared_sizes(self) -> Mapping[ImageId, int]:
        """For each image, the bytes of those of its layers that other images have, too."""
        images = self._catalog.images()
        users = Counter(chain_id for image in images for chain_id in image.chain_ids)
        sizes = {layer.chain_id: layer.size_bytes for layer in self._layers.all()}
        return {
            image.id: sum(sizes.get(chain_id, 0) for chain_id in image.chain_ids if users[chain_id] > 1)
            for image in images
        }

    def layers_of(self, image: Image) -> Sequence[Layer]:
        """The layers of `image`, the bottom one first, with their sizes. Raises: NotFound if the image is gone."""
        return [self._layers.get(chain_id) for chain_id in image.chain_ids]

    def config_bytes(self, image: Image) -> bytes:
        """The configuration document exactly as its digest, the image's id, names it."""
        return self._blobs.read(image.id)

    def history(self, text: str) -> Sequence[HistoryEntry]:
        """How the image came about, the last step first. Raises: as `get`."""
        image = self.get(text)
        sizes = [layer.size_bytes for layer in self.layers_of(image)]
        steps: list[HistoryEntry] = []
        for step in image.document.history or ():
            size = 0 if step.empty_layer else (sizes.pop(0) if sizes else 0)
            steps.append(HistoryEntry("<missing>", unix_ns(step.created), step.created_by, [], size, step.comment))
        steps.reverse()
        ancestor: Image | None = image
        for index, entry in enumerate(steps):
            if ancestor is None:
                break
            steps[index] = entry._replace(id=ancestor.id, tags=ancestor.repo_tags)
            ancestor = self._catalog.get(ancestor.parent) if ancestor.parent else None
        return steps

    # -- names and removal --------------------------------------------------------------------------------------

    def tag(self, source: str, target: Reference | str) -> ImageId:
        """Give the image `source` the name `target`; an older image of that name loses it.

        Returns the image's id. Raises: NotFound, InvalidArgument.
        """
        reference = Reference.of_repository(target) if isinstance(target, str) else target.with_default_tag()
        if reference.familiar_name == "sha256":
            raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
        with self._catalog.lock:
            image = self.get(source)
            self._catalog.tag(reference, image.id, self._clock_ns())
        return image.id

    def remove(
        self, text: str, *, force: bool = False, prune: bool = True, in_use: InUse = lambda _: ()
    ) -> Sequence[Removal]:
        """Remove a name or an image by Docker's rules (removal.py); returns what went, in Docker's order.

        `in_use` says which containers were made from an image; it must not call the store.
        Raises: NotFound, Conflict.
        """
        with self._catalog.lock:
            removed = Remover(self._catalog, in_use, force=force, prune=prune).remove(text)
        self._scratch.purge()
        return removed

    # -- making -------------------------------------------------------------------------------------------------

    def import_tar(
        self,
        stream: BinaryIO,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | str | None = None,
        reference: Reference | None = None,
    ) -> ImageId:
        """The id of a new image whose one layer is the tar in `stream` (plain, gzip, bzip2, xz or zstd).

        Raises: InvalidArgument for a bad change or tar; Internal for a full disk; what reading raises.
        Source: Docker API v1.50 ImageCreate with fromSrc.
        """
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
        return self._add_on_top(document, (), None, stream, History(created=now, comment=message), reference)

    def add_layer(
        self,
        base: str,
        stream: BinaryIO,
        *,
        changes: Sequence[str] = (),
        target: Reference | str | None = None,
        comment: str = "",
        created_by: str = "",
        author: str = "",
    ) -> ImageId:
        """The id of a new image: the image `base`, the tar in `stream` as one more layer, and `changes`.

        Raises: NotFound, InvalidArgument, Internal for a full disk.
        """
        image = self.get(base)
        now = rfc3339(self._clock_ns())
        old = image.document
        document = ImageDocument(
            architecture=old.architecture,
            variant=old.variant,
            os=old.os,
            os_version=old.os_version,
            created=now,
            author=author or old.author,
            comment=comment,
            config=apply_changes(image.config, changes),
            history=list(old.history or ()),
            rootfs=RootFS(diff_ids=[*image.diff_ids]),
        )
        step = History(created=now, created_by=created_by, author=author, comment=comment)
        reference = Reference.of_repository(target) if isinstance(target, str) else target
        self._layers.hold_existing(image.chain_ids)
        try:
            return self._add_on_top(document, image.chain_ids, image.id, stream, step, reference)
        finally:
            self._layers.release(image.chain_ids)

    def _add_on_top(
        self,
        document: ImageDocument,
        below: tuple[Digest, ...],
        parent: ImageId | None,
        stream: BinaryIO,
        step: History,
        reference: Reference | None,
    ) -> ImageId:
        """Make the layer in `stream`, complete `document` by it and by `step`, and register the image."""
        spool = self._scratch.fresh("import")
        try:
            _spool(stream, spool)
            layer = self._layers.add(spool, below)
        finally:
            _unlink_if_exists(spool)
        try:
            raw = encode_image(_with_layer(document, layer.diff_id, step))
            with self._catalog.lock:
                known_parent = parent if parent and self._catalog.get(parent) else None
                image = self._catalog.add(raw, parent=known_parent)
                if reference is not None:
                    self._catalog.tag(reference.with_default_tag(), image.id, self._clock_ns())
            return image.id
        finally:
            self._layers.release([Digest(layer.chain_id)])

    # -- archives -----------------------------------------------------------------------------------------------

    def load(self, stream: BinaryIO) -> Generator[LoadEvent, None, None]:
        """Load every image of an archive (archive/contents.py lists the forms), telling the progress.

        The work happens while the iterator is consumed; closing it early stops and cleans up. Images that were
        told as loaded stay, whatever happens later. Raises while iterating: InvalidArgument; Internal for a full
        disk; what reading `stream` raises.
        """
        directory = self._scratch.fresh("load")
        try:
            os.mkdir(directory, 0o700)
        except OSError as error:
            raise explained(error, doing="load image") from error
        try:
            members = Members(directory)
            members.take(stream)
            for planned in read_contents(members, self._platform):
                yield from self._load_one(planned)
        finally:
            self._scratch.discard(directory)
            self._scratch.purge()

    def _load_one(self, planned: Planned) -> Iterator[LoadEvent]:
        document = decode_image(planned.config)
        if document.os not in ("", self._platform.os):
            raise InvalidArgument(f"cannot load {document.os} image on {self._platform.os}")
        diff_ids = [parse_digest(text) for text in (document.rootfs.diff_ids or ())] if document.rootfs else []
        if len(diff_ids) != len(planned.layers):
            raise InvalidArgument(
                f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(planned.layers)}"
            )
        chain_ids = chain_ids_of(diff_ids)
        with self._layers.held(chain_ids):
            for index, member in enumerate(planned.layers):
                yield LayerProgress(diff_ids[index], 0, member.size_bytes)
                self._layers.ensure(member.path, chain_ids[:index], chain_ids[index], diff_ids[index])
                yield LayerProgress(diff_ids[index], member.size_bytes, member.size_bytes)
            with self._catalog.lock:
                image = self._catalog.add(planned.config)
                previous = [(ref, self._catalog.tag(ref, image.id, self._clock_ns())) for ref in planned.names]
        for reference, older in previous:
            if older is not None:
                yield Renamed(reference.familiar(), older)
        for reference in planned.names:
            yield Loaded(image.id, reference.familiar())
        if not planned.names:
            yield Loaded(image.id, None)

    def chosen_for_save(self, names: Sequence[str]) -> Sequence[Image]:
        """The images that `save` would write for `names`. Raises: NotFound, InvalidArgument."""
        return [image for image, _ in choose(self._catalog, names)]

    def save(self, names: Sequence[str], out: ByteSink) -> None:
        """Write the images to `out` as one archive (archive/save.py); a repository without a tag means all its tags.

        Raises: NotFound, InvalidArgument, before anything is written; what writing raises.
        """
        chosen = choose(self._catalog, names)
        held = [chain_id for image, _ in chosen for chain_id in image.chain_ids]
        self._layers.hold_existing(held)
        try:
            configs = [self._blobs.read(image.id) for image, _ in chosen]
            writer = ArchiveWriter(self._layers, out.write)
            writer.begin()
            for (image, references), config in zip(chosen, configs, strict=True):
                writer.add(image, config, references)
            writer.finish()
        finally:
            self._layers.release(held)


def _with_layer(document: ImageDocument, diff_id: str, step: History) -> ImageDocument:
    rootfs = RootFS(diff_ids=[*((document.rootfs.diff_ids or []) if document.rootfs else []), diff_id])
    return ImageDocument(
        architecture=document.architecture,
        variant=document.variant,
        os=document.os,
        os_version=document.os_version,
        created=document.created,
        author=document.author,
        docker_version=document.docker_version,
        comment=document.comment,
        config=document.config,
        rootfs=rootfs,
        history=[*(document.history or ()), step],
    )


def _spool(stream: BinaryIO, path: str) -> None:
    """Write all of `stream` to the new file `path`. Raises: Internal for a full disk; what reading raises."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(error, doing="import image") from error
    try:
        for chunk in read_chunks(stream):
            try:
                write_all(fd, memoryview(chunk))
            except OSError as error:
                raise explained(error, doing="import image") from error
    finally:
        os.close(fd)


def _unlink_if_exists(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it was never made
