"""The store seen from inside: what the server calls `StorageBackend`, additions of shoal's to Docker's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, nullcontext
from itertools import islice
from typing import TYPE_CHECKING

from shoal.api.storage import (
    ArtifactFile,
    ArtifactSummary,
    DiskLedger,
    ImageDifference,
    ImageStack,
    StackedLayer,
    StoreChecked,
    StoreFinding,
    WastedFile,
)
from shoal.engine.building.registry_config import decode_registry_config, registry_auth
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.image_mounts import owner_of
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.ledger import Ledger
from shoal.engine.paths import Paths
from shoal.engine.threads import Outlet, produced_by
from shoal.errors import Conflict
from shoal.image.artifacts import Artifact, title_of
from shoal.image.claims import BUILD_CACHE, CONTAINER, IMAGE, Claim
from shoal.image.difference import Difference, config_differences
from shoal.image.fsck import Checked, Finding
from shoal.image.registry.credentials import decode_credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.stack import StackedLayer as FoundLayer
from shoal.image.store import ImageStore
from shoal.oci.digest import Digest
from shoal.oci.reference import Reference
from shoal.volume.store import VolumeStore

if TYPE_CHECKING:
    from shoal.image.registry.origins import Origins

_NS = 1_000_000_000
_PIECE_BYTES = 1 << 18
_AT_ONCE = 100  # differences that travel together from the thread


class Storage:
    """Who has what on disk."""

    def __init__(
        self,
        paths: Paths,
        store: ImageStore,
        registry: ContainerRegistry,
        volumes: VolumeStore,
        of_containers: ContainerVolumes,
        ledger: Ledger,
        registries: RegistrySettings,
    ) -> None:
        self._paths = paths
        self._store = store
        self._registry = registry
        self._volumes = volumes
        self._of_containers = of_containers
        self._ledger = ledger
        self._registry_settings = registries
        self._reading = asyncio.Lock()
        self._checking = asyncio.Lock()

    async def disk(self) -> DiskLedger:
        """Whose every byte of the data root is."""
        async with self._reading:
            stored = await asyncio.to_thread(self._store.claims)
            claims = [*self._with_containers(stored), *self._directories(), *self._build_caches()]
            return await asyncio.to_thread(self._ledger.read, claims)

    async def stack(self, ref: str) -> ImageStack:
        """The layers of an image, the bottom one first. Raises: NotFound, InvalidArgument."""
        image = self._store.get(ref)
        layers = await asyncio.to_thread(self._store.stack, ref)
        return ImageStack(
            id=image.id,
            size=image.size_bytes,
            wasted_size=sum(layer.wasted_bytes for layer in layers),
            layers=[_shown_layer(layer) for layer in layers],
        )

    async def differences(self, ref: str, other: str) -> AsyncIterator[ImageDifference]:
        """In what `other` differs: its configuration first, then path by path. Raises: NotFound, InvalidArgument."""
        before, after = self._store.get(ref), self._store.get(other)

        def work(outlet: Outlet[Sequence[Difference]]) -> None:
            changes = self._store.differences(ref, other)
            while some := list(islice(changes, _AT_ONCE)):
                outlet.put(some)

        for field in config_differences(before.config, after.config):
            yield ImageDifference(field=field.field, before=field.before, after=field.after)
        async with aclosing(produced_by(work)) as bundles:
            async for bundle in bundles:
                for change in bundle:
                    what = list(change.what)
                    yield ImageDifference(path=change.path, kind=change.kind, size=change.size_bytes, what=what)

    async def check(self, *, repair: bool, registry_config: str) -> AsyncIterator[StoreFinding | StoreChecked]:
        """What is wrong in the store, mended with `repair`, and how far the check is.

        What is lost is fetched again as whoever the user is to its registry. Raises: Conflict for a second check.
        """
        if self._checking.locked():
            raise Conflict("a check of the store is already running")
        async with self._checking:
            for problem in await asyncio.to_thread(self._store.database_problems):
                yield StoreFinding(
                    cause="database-damaged",
                    subject=self._paths.database.name,
                    sentence=f"the database is damaged: {problem}",
                    hint=f"stop shoald and move {self._paths.database} away; images are loaded or pulled again",
                    mended=False,
                )
            busy = self._seen_by_running()
            origin = self._origins(registry_config) if repair else None

            def work(outlet: Outlet[Finding | Checked]) -> None:
                with origin or nullcontext():
                    for told in self._store.check(repair=repair, busy=busy, origin=origin):
                        outlet.put(told)

            async with aclosing(produced_by(work, origin)) as found:
                async for told in found:
                    yield _shown_step(told)

    def _origins(self, registry_config: str) -> Origins:
        """The registries that what is here came from, as the user of `X-Registry-Config`."""
        auths = decode_registry_config(registry_config)
        registries = self._store.registries(self._registry_settings)
        return registries.origins(lambda reference: decode_credentials(registry_auth(auths, reference)))

    async def artifacts(self) -> list[ArtifactSummary]:
        """What was pulled and is no image, by name."""
        return [_shown_artifact(artifact) for artifact in await asyncio.to_thread(self._store.artifacts.all)]

    async def artifact_file(self, name: str, file: str) -> AsyncIterator[bytes]:
        """A file of an artifact, piece by piece. Raises: NotFound, InvalidArgument."""
        found = self._store.artifacts.get(Reference.parse(name).with_default_tag()).file(file)
        with await asyncio.to_thread(open, self._store.artifacts.path(found), "rb") as opened:
            while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
                yield piece

    async def remove_artifact(self, name: str) -> None:
        """Forget an artifact. Raises: NotFound, InvalidArgument."""
        await asyncio.to_thread(self._store.artifacts.remove, Reference.parse(name).with_default_tag())

    def _seen_by_running(self) -> frozenset[Digest]:
        """The layers below containers that run."""
        snapshotter = self._store.snapshotter
        keys = [key for key in snapshotter.keys() if self._is_active(owner_of(key))]  # noqa: SIM118
        return frozenset(chain_id for key in keys for chain_id in snapshotter.chain(key))

    def _is_active(self, id: str) -> bool:
        record = self._registry.get(id)
        return record is not None and record.is_active

    def _with_containers(self, stored: Sequence[Claim]) -> Iterator[Claim]:
        """What the store says, and what only the engine knows: who the containers are, and what runs."""
        used = {record.image_id for record in self._registry}
        for claim in stored:
            if claim.kind == CONTAINER:
                yield self._of_container(owner_of(claim.id), claim.path)
            else:
                yield claim._replace(in_use=claim.in_use or (claim.kind == IMAGE and claim.id in used))

    def _directories(self) -> Iterator[Claim]:
        """The containers' own files, and the volumes."""
        for record in self._registry:
            yield self._of_container(record.id, str(self._paths.container_dir(record.id)))
        for volume in self._volumes:
            in_use = not self._of_containers.is_free(volume.name)
            yield Claim("volume", volume.name, (volume.name,), str(self._paths.volumes / volume.name), in_use)

    def _build_caches(self) -> Iterator[Claim]:
        """What RUNs of builds have mounted as caches, and the contexts that clients send changes of."""
        for place in (self._paths.build_caches, self._paths.build_contexts):
            for directory in place.iterdir() if place.is_dir() else ():
                yield Claim(BUILD_CACHE, directory.name, (), str(directory), in_use=False)

    def _of_container(self, id: str, path: str) -> Claim:
        record = self._registry.get(id)
        return Claim(CONTAINER, id, (record.name,) if record else (), path, self._is_active(id))


def _shown_step(told: Finding | Checked) -> StoreFinding | StoreChecked:
    if isinstance(told, Checked):
        return StoreChecked(images=told.images, layers=told.layers, snapshots=told.snapshots, size=told.size_bytes)
    return StoreFinding(
        cause=told.cause, subject=told.subject, sentence=told.sentence, hint=told.hint, mended=told.is_mended
    )


def _shown_artifact(artifact: Artifact) -> ArtifactSummary:
    return ArtifactSummary(
        name=artifact.reference.familiar(),
        digest=artifact.digest,
        artifact_type=artifact.kind,
        size=artifact.size_bytes,
        pulled=artifact.pulled_ns // _NS,
        files=[
            ArtifactFile(title=title_of(file), media_type=file.media_type, digest=file.digest, size=file.size)
            for file in artifact.manifest.layers
        ],
        annotations=artifact.manifest.annotations or {},
    )


def _shown_layer(layer: FoundLayer) -> StackedLayer:
    return StackedLayer(
        chain_id=layer.chain_id,
        diff_id=layer.diff_id,
        created=layer.created_ns // _NS,
        created_by=layer.created_by,
        size=layer.size_bytes,
        files=layer.files,
        wasted_size=layer.wasted_bytes,
        wasted=[WastedFile(path=file.path, size=file.size_bytes) for file in layer.wasted],
        shared_with=list(layer.shared_with),
    )
