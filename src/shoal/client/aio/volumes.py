"""Calls on volumes."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.client.aio.caller import Caller
from shoal.client.aio.containers import Filters, filters_query
from shoal.client.document import Document, Json


class Volumes:
    """The volume calls of one client. Docker API v1.50, tag Volume. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, *, filters: Filters | None = None) -> list[Document]:
        """The volumes that the filters let through."""
        answer = await self._caller.document("GET", "/volumes", query=filters_query(filters or {}))
        return answer.children("Volumes")

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Document:
        """The new volume, or the one that has the name; without one it is anonymous."""
        body: dict[str, Json] = {
            "Name": name,
            "Driver": driver,
            "DriverOpts": dict(options or {}),
            "Labels": dict(labels or {}),
        }
        return await self._caller.document("POST", "/volumes/create", body=body)

    async def inspect(self, name: str) -> Document:
        """One volume."""
        return await self._caller.document("GET", f"/volumes/{name}")

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Removes it; with `force` one that is not there is no failure."""
        await self._caller.perform("DELETE", f"/volumes/{name}", query={"force": "1"} if force else {})

    async def prune(self, *, filters: Filters | None = None) -> Document:
        """Removes what no container has, and tells what that was."""
        return await self._caller.document("POST", "/volumes/prune", query=filters_query(filters or {}))
