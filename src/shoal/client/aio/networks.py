"""Calls on networks."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.client.aio.caller import Caller
from shoal.client.aio.containers import Filters, filters_query
from shoal.client.document import Document, Json


class Networks:
    """The network calls of one client. Docker API v1.50, tag Network. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, *, filters: Filters | None = None) -> list[Document]:
        """All networks, or those that match."""
        return await self._caller.documents("GET", "/networks", query=filters_query(filters or {}))

    async def inspect(self, ref: str, *, verbose: bool = False) -> Document:
        """Everything about one network."""
        return await self._caller.document("GET", f"/networks/{ref}", query={"verbose": "1"} if verbose else None)

    async def create(self, config: Mapping[str, Json]) -> Document:
        """`Id` and `Warning` of the new network."""
        return await self._caller.document("POST", "/networks/create", body=config)

    async def remove(self, ref: str) -> None:
        """Removes it; no container may be in it."""
        await self._caller.perform("DELETE", f"/networks/{ref}")

    async def connect(self, ref: str, config: Mapping[str, Json]) -> None:
        """Puts a container into it."""
        await self._caller.perform("POST", f"/networks/{ref}/connect", body=config)

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Takes a container out of it."""
        await self._caller.perform("POST", f"/networks/{ref}/disconnect", body={"Container": container, "Force": force})

    async def prune(self, *, filters: Filters | None = None) -> Document:
        """Removes the networks that no container is in, and tells what they were."""
        return await self._caller.document("POST", "/networks/prune", query=filters_query(filters or {}))
