"""The volumes of the engine in memory."""

from __future__ import annotations

from shoal.api.filters import Filters
from shoal.api.volume import Volume, VolumeCreateRequest, VolumeListResponse, VolumesPruneReport
from shoal.errors import NotFound


class FakeVolumes:
    """The volume `v1`; what was asked is noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[object, ...]] = []
        self.shown = Volume(driver="local", labels=None, mountpoint="/v1", name="v1", options=None, scope="local")

    async def list(self, filters: Filters) -> VolumeListResponse:
        self.notes.append(("list", filters))
        return VolumeListResponse(volumes=[self.shown])

    async def create(self, request: VolumeCreateRequest) -> Volume:
        self.notes.append(("create", request))
        return self.shown

    async def inspect(self, name: str) -> Volume:
        if name != "v1":
            raise NotFound(f"get {name}: no such volume")
        return self.shown

    async def remove(self, name: str, *, force: bool) -> None:
        self.notes.append(("remove", name, force))

    async def prune(self, filters: Filters) -> VolumesPruneReport:
        self.notes.append(("prune", filters))
        return VolumesPruneReport()
