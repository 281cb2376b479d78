"""The networks of an engine of which each part is scripted."""

# ruff: noqa: ARG002 (a fake has the whole signature and uses some of it)

from __future__ import annotations

from collections.abc import Sequence

from shoal.api.filters import Filters
from shoal.api.network import (
    EndpointSettings,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkResource,
    NetworksPruneReport,
)
from shoal.api.timestamps import NEVER
from shoal.errors import Forbidden, NotFound


class FakeNetworks:
    """The network `bridge`; `notes` are what was asked to be done."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, object]] = []

    async def list(self, filters: Filters) -> Sequence[NetworkResource]:
        return [NetworkResource(name="bridge", id="b" * 64, created=NEVER)]

    async def inspect(self, ref: str) -> NetworkResource:
        if ref != "bridge":
            raise NotFound(f"network {ref} not found")
        return NetworkResource(name="bridge", id="b" * 64, created=NEVER)

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        if request.name == "bridge":
            raise Forbidden("operation is not permitted on predefined bridge network ")
        return NetworkCreateResponse(id="c" * 64)

    async def remove(self, ref: str) -> None:
        raise Forbidden(f"{(await self.inspect(ref)).name} is a pre-defined network and cannot be removed")

    async def connect(self, ref: str, container: str, settings: EndpointSettings) -> None:
        await self.inspect(ref)
        self.notes.append(("connect", container, settings.aliases))

    async def disconnect(self, ref: str, container: str, *, force: bool) -> None:
        await self.inspect(ref)
        self.notes.append(("disconnect", container, force))

    async def prune(self, filters: Filters) -> NetworksPruneReport:
        filters.validate({"until"})
        return NetworksPruneReport()
