"""Calls on artifacts, which shoal alone has: what was pulled and is no image. `name` has a tag or a digest."""

from __future__ import annotations

from shoal.client.aio.caller import Caller
from shoal.client.aio.http import Response
from shoal.client.document import Document, parse_documents


class Artifacts:
    """The artifact calls of one client. All raise as `Client.call`; NotFound also where the engine is not shoal."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def read(self, name: str, file: str = "") -> Response:
        """A file of an artifact, as a stream: the one of this title or digest, else the only one."""
        query = {"file": file} if file else {}
        return await self._caller.call("GET", f"/artifacts/{name}/get", query=query)

    async def referrers(self, image: str, *, auth: str = "") -> list[Document]:
        """What a registry has about an image of it: `Digest`, `ArtifactType`, `Size`. `auth` is X-Registry-Auth."""
        headers = {"X-Registry-Auth": auth} if auth else {}
        response = await self._caller.call("GET", f"/distribution/{image}/referrers", headers=headers)
        return parse_documents(await response.read(), "referrers")

    async def remove(self, name: str) -> None:
        """Forget an artifact and its files."""
        await self._caller.perform("DELETE", f"/artifacts/{name}")

    async def list(self) -> list[Document]:
        """What was pulled and is no image: `Name`, `Digest`, `ArtifactType`, `Size`, `Files`."""
        return await self._caller.documents("GET", "/artifacts/json")
