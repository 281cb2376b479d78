"""The networks of an engine of which each part is scripted."""

# ruff: noqa: ARG002 (a fake has the whole signature and uses some of it)

from __future__ import annotations

from collections.abc import Sequence

from shoal.api.filters import Filters
from shoal.api.network import NetworkResource, NetworksPruneReport
from shoal.api.timestamps import NEVER
from shoal.errors import NotFound


class FakeNetworks:
    """The network `bridge`."""

    async def list(self, filters: Filters) -> Sequence[NetworkResource]:
        return [NetworkResource(name="bridge", id="b" * 64, created=NEVER)]

    async def inspect(self, ref: str) -> NetworkResource:
        if ref != "bridge":
            raise NotFound(f"network {ref} not found")
        return NetworkResource(name="bridge", id="b" * 64, created=NEVER)

    async def prune(self, filters: Filters) -> NetworksPruneReport:
        filters.validate({"until"})
        return NetworksPruneReport()
