"""The image store: everything that Docker's image commands need, without knowing containers or HTTP.

Runs in shoald; every method blocks, is thread-safe and is meant for an executor, except `get`, which only reads memory
(a few microseconds). On disk, under the data root: blobs/ (configurations), layers/ (unpacked, by chainID), partial/
(interrupted pulls), tmp/image/ (scratch and trash), and the tables image_* of the database. A crash at any moment
leaves whole images, what came of others (leases.py, partials.py), and trash that the next start takes away.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from shoal.errors import InvalidArgument, NotFound
from shoal.image.archive.choice import choose
from shoal.image.archive.load import Loader
from shoal.image.archive.save import ArchiveWriter, manifest_of
from shoal.image.artifacts import Artifacts
from shoal.image.attestations import Attestations
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.claims import Claim, Directories, artifact_claims, blob_claims, partial_claim, store_claims
from shoal.image.difference import Difference, file_differences
from shoal.image.filters import ImageFilters, select
from shoal.image.fsck import Checked, Finding, Fsck, Origin
from shoal.image.image import Deleted, HistoryEntry, Image, ImageId, InUse, LayerProgress, LoadEvent, Removal
from shoal.image.kept_blobs import KeptBlobs
from shoal.image.kept_check import check_artifacts, check_blobs
from shoal.image.layers import Layer, LayerStore
from shoal.image.leases import Leases
from shoal.image.making import ImageMaker, spool_stream, spool_written
from shoal.image.merged_tar import write_merged
from shoal.image.partials import Partials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.sources import KeptManifest, Sources
from shoal.image.removal import Remover
from shoal.image.scratch import Scratch
from shoal.image.snapshot.choice import open_snapshotter
from shoal.image.snapshot.protocol import Snapshotter
from shoal.image.stack import StackedLayer, stack_of
from shoal.oci.descriptor import MEDIA_MANIFEST
from shoal.oci.digest import Digest, sha256_of
from shoal.oci.documents import encode_document
from shoal.oci.image_spec import History, ImageConfig, unix_ns
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference, parse_any

if TYPE_CHECKING:
    from shoal.image.registry.registries import Registries

_NO_FILTERS = ImageFilters()


class ByteSink(Protocol):
    """Where an archive is written: a file, or anything that takes all bytes it is given."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take all of `data`."""


class ImageStore:
    """The images under the data root `root`.

    `connect` makes a connection to the daemon's database for the store alone; it must allow use from several threads
    (`check_same_thread=False`). `driver` names the snapshotter (`overlay2`, `vfs`, None = the best here). What an
    earlier process left of images, layers and scratch files that nothing needs is discarded now; `kept` are layers that
    others than images need, each of which is held once. With `drops_blobs` no compressed layers are
    kept that a registry has.
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
        kept: Iterable[Sequence[Digest]] = (),
        drops_blobs: bool = True,
    ) -> None:
        self._root = str(root)
        os.makedirs(self._root, mode=0o710, exist_ok=True)
        self._clock_ns = clock_ns
        self._platform = platform or Platform.of_machine(os.uname().machine)
        self._scratch = Scratch(os.path.join(self._root, "tmp", "image"))
        names = ("blobs", "layers", "snapshots", "partial", "artifacts", "compressed")
        self._directories = Directories(*(os.path.join(self._root, name) for name in names))
        self._partials = Partials(self._directories.partial, lambda: clock_ns() / 10**9)
        self._blobs = BlobStore(self._directories.blobs, self._scratch.path)
        self._artifacts = Artifacts(connect, self._directories.artifacts, self._scratch.path)
        self._kept_blobs = KeptBlobs(self._directories.compressed, keeps=not drops_blobs)
        self._layers = LayerStore(self._directories.layers, self._scratch, self._kept_blobs)
        for chain_ids in kept:
            self._layers.hold(chain_ids)
        self._catalog = Catalog(connect, self._blobs, self._layers)
        self._maker = ImageMaker(self._catalog, self._layers, self._scratch, clock_ns, self._platform)
        self._loader = Loader(self._catalog, self._layers, self._scratch, clock_ns, self._platform)
        self._snapshotter = open_snapshotter(self._directories.snapshots, self._layers, self._scratch, driver=driver)
        self._leases = Leases(connect, self._layers, clock_ns)
        self._catalog.collect_garbage()
        self._sources = Sources(connect)
        self._attestations = Attestations(connect)
        self._attestations.forget_all_but({image.id for image in self._catalog.images()})
        self._sources.forget_all_but(
            {image.id for image in self._catalog.images()}, {layer.diff_id for layer in self._layers.all()}
        )
        self._kept_blobs.sweep({layer.chain_id: layer.diff_id for layer in self._layers.all()}, self._sources)

    @property
    def snapshotter(self) -> Snapshotter:
        """The snapshotter on this store's layers."""
        return self._snapshotter

    @property
    def layer_store(self) -> LayerStore:
        """The layers themselves, for who makes some."""
        return self._layers

    @property
    def attestations(self) -> Attestations:
        """What is attested of images here."""
        return self._attestations

    @property
    def artifacts(self) -> Artifacts:
        """What was pulled and is no image."""
        return self._artifacts

    def artifact_named(self, text: str) -> Reference | None:
        """The name of the artifact that a user means by `text`; None where it is an image's, or nobody's.

        Raises: InvalidArgument.
        """
        try:
            self.get(text)
        except NotFound:
            reference = parse_any(text)
            if isinstance(reference, Reference):
                named = reference.with_default_tag()
                return named if any(each.reference == named for each in self._artifacts.all()) else None
        return None

    @property
    def scratch(self) -> Scratch:
        """Temporary places on the layers' file system."""
        return self._scratch

    @property
    def problems(self) -> Sequence[str]:
        """What was found damaged at the start, and left out: for the log."""
        return self._catalog.problems

    def close(self) -> None:
        """Close the database connections."""
        self._artifacts.close()
        self._leases.close()
        self._sources.close()
        self._attestations.close()
        self._catalog.close()

    def registries(self, settings: RegistrySettings) -> Registries:
        """What pulls into this store and pushes out of it."""
        # The HTTP library behind it is large, and a daemon that never pulls does without it.
        from shoal.image.registry.pull import Storage
        from shoal.image.registry.registries import Registries

        storage = Storage(
            catalog=self._catalog,
            layers=self._layers,
            leases=self._leases,
            scratch=self._scratch,
            partials=self._partials,
            sources=self._sources,
            attestations=self._attestations,
            blobs=self._blobs,
            artifacts=self._artifacts,
            kept_blobs=self._kept_blobs,
            clock_ns=self._clock_ns,
            platform=self._platform,
        )
        return Registries(storage, settings)

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

    def content_bytes(self, image: Image) -> int:
        """Bytes of what is here of the image as registries have it: its configuration, and compressed layers."""
        size_bytes = len(self.config_bytes(image))
        for blob in self._kept_blobs.all():
            if blob.chain_id in image.chain_ids:
                with suppress(FileNotFoundError):  # it goes at this moment
                    size_bytes += os.stat(blob.path).st_size
        return size_bytes

    def manifests(self, image: Image) -> Sequence[KeptManifest]:
        """The manifests by which the image came or went; without any the one that `save` would write.

        Raises: NotFound, Internal for a damaged configuration.
        """
        known = self._sources.manifests(image.id)
        if known:
            return known
        raw = encode_document(manifest_of(image, len(self.config_bytes(image)), self.layers_of(image)))
        return [KeptManifest(sha256_of(raw), MEDIA_MANIFEST, raw)]

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

    def stack(self, text: str) -> Sequence[StackedLayer]:
        """The layers of the image, the bottom one first, and what of each is covered. Raises: as `get`; OSError."""
        image = self.get(text)
        with self._held(image):
            return stack_of(image, self.layers_of(image), self._layers.tree, self._catalog.images())

    def differences(self, before: str, after: str) -> Iterator[Difference]:
        """The paths in which two images differ. Raises: as `get`, at once; OSError while iterating."""
        old, new = self.get(before), self.get(after)

        def walk() -> Iterator[Difference]:
            with self._held(old), self._held(new):
                trees = [[self._layers.tree(id) for id in reversed(image.chain_ids)] for image in (old, new)]
                yield from file_differences(*trees)

        return walk()

    @contextmanager
    def _held(self, image: Image) -> Iterator[None]:
        """Hold the image's layers within the block. Raises: NotFound if it is gone."""
        self._layers.hold_existing(image.chain_ids)
        try:
            yield
        finally:
            self._layers.release(image.chain_ids)

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
        self._attestations.forget(each.digest for each in removed if isinstance(each, Deleted))
        self._scratch.purge()
        return removed

    def claims(self) -> Sequence[Claim]:
        """What of the data root is the store's, for the books about the disk."""
        snapshots = {key: self._snapshotter.chain(key) for key in self._snapshotter.keys()}  # noqa: SIM118
        images, layers = self._catalog.images(), self._layers.all()
        stored = store_claims(
            self._directories, images, layers, self._leases.subjects(), snapshots, self._layers.linked
        )
        kept = [partial_claim(blob) for blob in self._partials.blobs()]
        return [*stored, *kept, *artifact_claims(self._artifacts), *blob_claims(self._kept_blobs.all(), images)]

    def database_problems(self) -> Sequence[str]:
        """What SQLite finds wrong in its file; may take long."""
        return self._catalog.database_problems()

    def check(
        self, *, repair: bool, busy: Collection[Digest], origin: Origin | None = None
    ) -> Iterator[Finding | Checked]:
        """What is wrong in the store, mended with `repair`; see fsck.py. Raises while iterating: OSError."""
        parts = (self._catalog, self._layers, self._blobs, self._snapshotter, self._scratch)
        yield from check_blobs(self._kept_blobs, repair=repair)
        yield from check_artifacts(self._artifacts, repair=repair, origin=origin)
        yield from Fsck(*parts, repair=repair, busy=busy, origin=origin).run()

    def collect_garbage(self, *, unfinished: bool = False) -> None:
        """Delete what nothing needs; at any time, beside whatever else the store does.

        `unfinished`: also what broken-off pulls have left for their next try.
        """
        if unfinished:
            self._leases.give_up()
            self._partials.sweep(kept_s=0)
        else:
            self._leases.expire()
            self._partials.sweep()
        self._catalog.collect_garbage()
        self._scratch.purge()

    def next_expiry_ns(self) -> int | None:
        """When `collect_garbage` has something to do again, as far as is known now."""
        known = (self._leases.next_expiry_ns(), self._partials.next_expiry_ns())
        return min((moment for moment in known if moment is not None), default=None)

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
        return self._maker.import_tar(stream, changes=changes, message=message, platform=platform, reference=reference)

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
        reference = Reference.of_repository(target) if isinstance(target, str) else target
        step = History(created_by=created_by, author=author, comment=comment)
        image = self.get(base)

        def fill(path: str) -> None:
            spool_stream(stream, path)

        return self._maker.add_layer(image, fill, config=image.config, changes=changes, reference=reference, step=step)

    def commit(
        self,
        key: str,
        base: ImageId,
        *,
        config: ImageConfig,
        changes: Sequence[str],
        reference: Reference | None,
        step: History,
    ) -> ImageId:
        """The id of a new image: `base`, what the snapshot `key` changed as one more layer, `config` and `changes`.

        Raises: NotFound, InvalidArgument, Internal for a full disk. Source: Docker API v1.50 ImageCommit.
        """

        def fill(path: str) -> None:
            spool_written(lambda write: self._snapshotter.write_diff(key, write), path, doing="commit container")

        image = self.get(base)
        return self._maker.add_layer(image, fill, config=config, changes=changes, reference=reference, step=step)

    # -- builds -------------------------------------------------------------------------------------------------

    def hold(self, image: Image) -> None:
        """Keep the image's layers until they are released (`layer_store`). Raises: NotFound if they are gone."""
        self._layers.hold_existing(image.chain_ids)

    def register(self, document: bytes, references: Sequence[Reference]) -> Image:
        """The image of this configuration, whose layers are here and held; it gets the names.

        Raises: InvalidArgument; Internal for a full disk.
        """
        return self._catalog.add(document, references, self._clock_ns())[0]

    def write_files(self, text: str, out: ByteSink) -> None:
        """Write all files of an image to `out` as one tar. Raises: NotFound, InvalidArgument; what writing raises."""
        image = self.get(text)
        with self._layers.held(image.chain_ids):
            write_merged([self._layers.tree(chain_id) for chain_id in reversed(image.chain_ids)], out.write)

    # -- archives -----------------------------------------------------------------------------------------------

    def load(
        self,
        stream: BinaryIO,
        *,
        progress: Callable[[LayerProgress], None] | None = None,
        platform: Platform | None = None,
    ) -> Generator[LoadEvent, None, None]:
        """Load every image of an archive (archive/contents.py lists the forms), telling the progress.

        The work happens while the iterator is consumed; closing it early stops and cleans up. Between two events
        of a big layer `progress` hears how far it is; what it raises stops the work as well. Images that were told
        as loaded stay, whatever happens later. With `platform` only those for it are loaded. Raises while iterating:
        InvalidArgument, also where none is; Internal for a full disk; what reading `stream` raises.
        """
        return self._loader.load(stream, progress, platform)

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
                writer.add(image, config, references, self._attestations.of(image.id))
            writer.finish()
        finally:
            self._layers.release(held)
