"""The store seen from inside: what the server calls `StorageBackend`, additions of shoal's to Docker's API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from shoal.api.storage import DiskLedger
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.image_mounts import owner_of
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.ledger import Ledger
from shoal.engine.paths import Paths
from shoal.image.claims import CONTAINER, IMAGE, Claim
from shoal.image.store import ImageStore
from shoal.volume.store import VolumeStore


class Storage:
    """Who has what on disk."""

    def __init__(
        self,
        paths: Paths,
        store: ImageStore,
        registry: ContainerRegistry,
        volumes: VolumeStore,
        of_containers: ContainerVolumes,
    ) -> None:
        self._paths = paths
        self._store = store
        self._registry = registry
        self._volumes = volumes
        self._of_containers = of_containers
        self._ledger = Ledger(paths.data_root)
        self._reading = asyncio.Lock()

    async def disk(self) -> DiskLedger:
        """Whose every byte of the data root is."""
        async with self._reading:
            stored = await asyncio.to_thread(self._store.claims)
            claims = [*self._with_containers(stored), *self._directories()]
            return await asyncio.to_thread(self._ledger.read, claims)

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

    def _of_container(self, id: str, path: str) -> Claim:
        record = self._registry.get(id)
        return Claim(CONTAINER, id, (record.name,) if record else (), path, record is not None and record.is_active)
