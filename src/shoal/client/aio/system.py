"""Calls on the engine itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

from shoal.client.aio.caller import Caller
from shoal.client.aio.containers import Filters, filters_query
from shoal.client.document import Document, parse_document
from shoal.errors import Internal


class System:
    """The system calls of one client. Docker API v1.50, tag System. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def version(self) -> Document:
        """Versions of the engine and its components."""
        return await self._caller.document("GET", "/version")

    async def info(self) -> Document:
        """The engine's state and what it can do here."""
        return await self._caller.document("GET", "/info")

    async def disk_usage(self) -> Document:
        """What images, containers and volumes use, each layer counted once."""
        return await self._caller.document("GET", "/system/df")

    async def disk_users(self) -> Document:
        """Whose every byte of the engine's disk is. Raises: NotFound from an engine that is not shoal."""
        return await self._caller.document("GET", "/system/df/users")

    async def fsck(self, *, repair: bool = False, registry_config: str = "") -> AsyncIterator[Document]:
        """What is wrong in the store (`Cause`, `Sentence`, `Hint`, `Mended`), and how far the check is (`Layers`).

        `registry_config` is the header that says who the user is to registries, from which what is lost comes again.
        Of shoal alone: else NotFound. Raises: also what the check ended with.
        """
        headers = {"X-Registry-Config": registry_config} if registry_config else {}
        query = {"repair": "1"} if repair else {}
        response = await self._caller.call("POST", "/system/fsck", query=query, headers=headers)
        async for line in response.lines():
            step = parse_document(line, "a finding")
            if step.text("error"):
                raise Internal(step.text("error"))
            yield step

    async def prune(self, kind: str, filters: Filters | None = None) -> Document:
        """What was removed of `kind`: containers, images, networks, volumes, or build (its cache)."""
        return await self._caller.document("POST", f"/{kind}/prune", query=filters_query(filters or {}))

    async def events(
        self, *, since: str = "", until: str = "", filters: Filters | None = None
    ) -> AsyncIterator[Document]:
        """Events as they happen, until `until` where given; endless otherwise."""
        query = filters_query(filters or {})
        query.update({name: value for name, value in (("since", since), ("until", until)) if value})
        response = await self._caller.call("GET", "/events", query=query)
        async for line in response.lines():
            yield parse_document(line, "an event")

    async def inspect_other(self, kind: str, ref: str) -> Document:
        """A network (`kind` "networks") or a volume ("volumes")."""
        return await self._caller.document("GET", f"/{kind}/{ref}")

    async def vm_status(self) -> Document:
        """Whether containers can run in virtual machines here, and what is missing: an addition of shoal's."""
        return await self._caller.document("GET", "/vm")

    async def vm_setup(self, kernel: str = "") -> Document:
        """The same, once a kernel has been got: Debian's, or the one at the path `kernel` of the engine's host."""
        return await self._caller.document("POST", "/vm/setup", query={"kernel": kernel} if kernel else {})
