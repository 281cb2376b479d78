"""Images as the server asks for them: the store's answers in Docker's shapes, its work in threads."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from shoal.api.filters import Filters
from shoal.api.image import (
    DriverData,
    HistoryItem,
    ImageDeleteItem,
    ImageInspect,
    ImageMetadata,
    ImagesPruneReport,
    ImageSummary,
    ManifestSummary,
    RootFS,
)
from shoal.api.options import ImageListOptions
from shoal.api.progress import JSONMessage, ProgressDetail
from shoal.api.timestamps import NEVER, format_rfc3339, parse_moment
from shoal.api.version import V1_44, ApiVersion
from shoal.engine.clock import Clock
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.image_manifests import manifest_summaries
from shoal.engine.image_names import api_config
from shoal.engine.threads import PIECE_BYTES, BodyReader, Outlet, PieceWriter, produced_by
from shoal.errors import Conflict, InvalidArgument, NotFound
from shoal.image.filters import ImageFilters
from shoal.image.image import Deleted, Image, ImageId, ImageUser, LayerProgress, LoadEvent, Removal, Renamed
from shoal.image.store import ImageStore
from shoal.oci.digest import short_id
from shoal.oci.platform import Platform, other_platform
from shoal.oci.reference import Reference

_NS = 1_000_000_000


class Images:
    """What the server calls `ImageBackend`."""

    def __init__(
        self,
        store: ImageStore,
        storage_driver: str,
        platform: Platform,
        registry: ContainerRegistry,
        events: EventLog,
        clock: Clock,
    ) -> None:
        """`storage_driver` is the snapshotter's name, `platform` the machine's own."""
        self._store = store
        self._storage_driver = storage_driver
        self._platform = platform
        self._registry = registry
        self._events = events
        self._clock = clock

    def close(self) -> None:
        """Lets go of the store."""
        self._store.close()

    async def count(self) -> int:
        """How many images there are."""
        return len(self._store.images())

    async def layers_size(self) -> int:
        """Bytes of all layers, each counted once."""
        return await asyncio.to_thread(self._store.layers_size)

    async def list(self, options: ImageListOptions) -> Sequence[ImageSummary]:
        """The images that the filters let through, the newest first. Raises: InvalidArgument, NotFound."""
        images = self._store.list(self._filters(options.filters), show_all=options.all)
        shared = self._store.shared_sizes() if options.shared_size else {}
        rows = [self._summary(image, options.version, shared.get(image.id, -1)) for image in images]
        if options.manifests:
            for row, image in zip(rows, images, strict=True):
                with suppress(NotFound):  # it is gone in the meantime
                    row.manifests = [*await self._manifests(image)]
        return rows

    async def _manifests(self, image: Image) -> Sequence[ManifestSummary]:
        containers = [user.container_id for user in self._users(image.id)]
        return await asyncio.to_thread(manifest_summaries, self._store, image, containers)

    def _for(self, ref: str, platform: str | None) -> Image:
        """The image, where it is for `platform`, if that is asked for. Raises: NotFound, InvalidArgument."""
        image = self._store.get(ref)
        wanted = Platform.parse(platform, host=self._platform) if platform else None
        if wanted is not None and not wanted.runs(image.platform):
            raise other_platform(ref, image.platform, wanted)
        return image

    def _filters(self, filters: Filters) -> ImageFilters:
        until = [parse_moment(text, now_ns=self._clock()) for text in filters.get("until")]
        named = {name: filters.get(name) for name in filters.names}
        return ImageFilters.parse(named, until_ns=min(until, default=None))

    def _summary(self, image: Image, version: ApiVersion, shared_size: int) -> ImageSummary:
        return ImageSummary(
            id=image.id,
            parent_id=image.parent or "",
            repo_tags=image.repo_tags,
            repo_digests=image.repo_digests,
            created=image.created_ns // _NS,
            size=image.size_bytes,
            shared_size=shared_size,
            virtual_size=image.size_bytes if version < V1_44 else None,
            labels=image.config.labels,
            containers=len(self._users(image.id)),
        )

    def _users(self, id: ImageId) -> Sequence[ImageUser]:
        return [ImageUser(record.id, record.is_active) for record in self._registry if record.image_id == id]

    async def inspect(self, ref: str, *, platform: str | None = None, manifests: bool = False) -> ImageInspect:
        """All about one image. Raises: NotFound, InvalidArgument."""
        image = self._for(ref, platform)
        document = image.document
        return ImageInspect(
            id=image.id,
            repo_tags=image.repo_tags,
            repo_digests=image.repo_digests,
            parent=image.parent or "",
            comment=document.comment,
            created=document.created or NEVER,
            docker_version=document.docker_version,
            author=document.author,
            config=api_config(image),
            architecture=document.architecture,
            variant=document.variant,
            os=document.os,
            os_version=document.os_version,
            size=image.size_bytes,
            manifests=[*await self._manifests(image)] if manifests else None,
            graph_driver=DriverData(name=self._storage_driver),
            root_fs=RootFS(layers=list(image.diff_ids)),
            metadata=ImageMetadata(
                last_tag_time=format_rfc3339(image.last_tagged_ns) if image.last_tagged_ns else NEVER
            ),
        )

    async def history(self, ref: str, *, platform: str | None = None) -> Sequence[HistoryItem]:
        """The image's history, the newest line first. Raises: NotFound."""
        self._for(ref, platform)
        return [
            HistoryItem(
                id=entry.id,
                created=entry.created_ns // _NS,
                created_by=entry.created_by,
                tags=entry.tags or None,
                size=entry.size_bytes,
                comment=entry.comment,
            )
            for entry in self._store.history(ref)
        ]

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """Gives an image, or an artifact, one more name. Raises: NotFound, InvalidArgument."""
        name = Reference.of_repository(repository, tag)
        artifact = await asyncio.to_thread(self._store.artifact_named, ref)
        if artifact is not None:
            await asyncio.to_thread(self._store.artifacts.tag, artifact, name)
            return
        image = self._store.get(ref)
        await asyncio.to_thread(self._store.tag, image.id, name)
        self._tell("tag", image.id, name.familiar())

    async def remove(
        self, ref: str, *, force: bool, prune: bool, platforms: Sequence[str] = ()
    ) -> Sequence[ImageDeleteItem]:
        """What was untagged and deleted, in order; an artifact is only untagged.

        With `platforms` only what is for each of them goes, and an image here is for one.

        Raises: NotFound, Conflict.
        """
        for platform in platforms:
            self._for(ref, platform)
        artifact = await asyncio.to_thread(self._store.artifact_named, ref)
        if artifact is not None:
            await asyncio.to_thread(self._store.artifacts.remove, artifact)
            return [ImageDeleteItem(untagged=artifact.familiar())]
        id = self._store.get(ref).id
        removed = await asyncio.to_thread(self._store.remove, ref, force=force, prune=prune, in_use=self._users)
        return [self._removed(id, step) for step in removed]

    def _removed(self, id: ImageId, step: Removal) -> ImageDeleteItem:
        if isinstance(step, Deleted):
            self._tell("delete", step.digest, step.digest)
            return ImageDeleteItem(deleted=step.digest)
        self._tell("untag", id, step.reference)
        return ImageDeleteItem(untagged=step.reference)

    async def load(
        self, body: AsyncIterator[bytes], *, quiet: bool, platform: str | None = None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker load`, and what was loaded. Raises: InvalidArgument, Internal."""
        wanted = Platform.parse(platform, host=self._platform) if platform else None
        source = BodyReader(body)

        def work(outlet: Outlet[LoadEvent]) -> None:
            stream = io.BufferedReader(source, PIECE_BYTES)
            for event in self._store.load(stream, progress=outlet.put, platform=wanted):
                outlet.put(event)

        async with aclosing(produced_by(work, source)) as events:
            async for event in events:
                if isinstance(event, LayerProgress):
                    if not quiet:
                        yield _layer_message(event)
                elif isinstance(event, Renamed):
                    text = f"The image {event.reference} already exists, renaming the old one with ID {event.previous}"
                    yield JSONMessage(stream=f"{text} to empty string\n")
                else:
                    self._tell("load", event.id, event.reference or event.id)
                    name = f"Loaded image: {event.reference}" if event.reference else f"Loaded image ID: {event.id}"
                    yield JSONMessage(stream=f"{name}\n")

    async def save(self, refs: Sequence[str], *, platform: str | None = None) -> AsyncIterator[bytes]:
        """A tar archive of the images. Raises (before the first piece): NotFound; InvalidArgument for artifacts."""
        for ref in refs:
            if await asyncio.to_thread(self._store.artifact_named, ref) is not None:
                raise InvalidArgument(f"cannot save {ref}", why="it is no image", fix=f"shoal artifact get {ref}")
        images = self._store.chosen_for_save(refs)
        for image in images if platform else ():
            self._for(image.id, platform)

        def work(outlet: Outlet[bytes]) -> None:
            writer = PieceWriter(outlet)
            self._store.save(refs, writer)
            writer.flush()

        async with aclosing(produced_by(work)) as pieces:
            async for piece in pieces:
                yield piece
        for image in images:
            self._tell("save", image.id, image.id)

    async def files(self, ref: str) -> AsyncIterator[bytes]:
        """All files of an image as one tar. Raises (before the first piece): NotFound."""
        image = self._store.get(ref)

        def work(outlet: Outlet[bytes]) -> None:
            writer = PieceWriter(outlet)
            self._store.write_files(image.id, writer)
            writer.flush()

        async with aclosing(produced_by(work)) as pieces:
            async for piece in pieces:
                yield piece

    async def import_(
        self,
        body: AsyncIterator[bytes],
        *,
        repository: str,
        tag: str,
        changes: Sequence[str],
        message: str,
        platform: str | None,
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker import`; the last message is the image's id. Raises: InvalidArgument, Internal."""
        name = Reference.of_repository(repository, tag) if repository else None
        wanted = Platform.parse(platform, host=self._platform) if platform else None
        source = BodyReader(body)

        def work(outlet: Outlet[ImageId]) -> None:
            stream = io.BufferedReader(source, PIECE_BYTES)
            id = self._store.import_tar(stream, changes=changes, message=message, platform=wanted, reference=name)
            outlet.put(id)

        async with aclosing(produced_by(work, source)) as ids:
            async for id in ids:
                self._tell("import", id, name.familiar() if name else id)
                yield JSONMessage(status=id)

    async def prune(self, filters: Filters) -> ImagesPruneReport:
        """Removes the images that no container uses: the nameless ones, or with `dangling=false` all.

        With all go artifacts, too, where no label is asked for, and the remains of pulls that were broken off.

        Raises: InvalidArgument for a filter.
        """
        chosen = self._filters(filters)
        if chosen.is_dangling is None:
            chosen = replace(chosen, is_dangling=True)
        takes_all = not chosen.is_dangling
        if takes_all:
            chosen = replace(chosen, is_dangling=None)
        before = await self.layers_size()
        removed: list[ImageDeleteItem] = []
        for image in self._store.list(chosen, show_all=False):
            if self._users(image.id):
                continue
            for ref in image.repo_tags or [image.id]:
                try:
                    removed += await self.remove(ref, force=False, prune=True)
                except (Conflict, NotFound):
                    break  # something came to use it just now, or took it away
        freed = 0
        if takes_all and not (chosen.labels or chosen.without_labels):
            names, freed = await asyncio.to_thread(self._store.artifacts.prune, chosen.until_ns)
            removed += [ImageDeleteItem(untagged=name.familiar()) for name in names]
        await asyncio.to_thread(self._store.collect_garbage, unfinished=takes_all)
        reclaimed = before + freed - await self.layers_size()
        self._events.publish("image", "prune", "", {"reclaimed": str(reclaimed)})
        return ImagesPruneReport(images_deleted=removed or None, space_reclaimed=reclaimed)

    def _tell(self, action: str, id: str, name: str) -> None:
        image = self._store.find(id)
        labels = (image.config.labels or {}) if image else {}
        self._events.publish("image", action, id, {**labels, "name": name})


def _layer_message(event: LayerProgress) -> JSONMessage:
    return JSONMessage(
        id=short_id(event.diff_id),
        status="Loading layer",
        progress_detail=ProgressDetail(current=event.current_bytes, total=event.total_bytes),
    )
