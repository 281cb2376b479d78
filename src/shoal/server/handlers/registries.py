"""Images between here and registries. Docker API v1.50 `ImagePush`, `SystemAuth`, `DistributionInspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.registry import AuthConfig
from shoal.server.handlers.images import progress
from shoal.server.messages import Reply, Request, StreamReply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


def credentials_of(request: Request) -> str | None:
    """The header that says who the user is to the registry."""
    return request.header(b"x-registry-auth").decode("latin-1") or None


async def push(backend: Backend, request: Request) -> StreamReply:
    """ImagePush."""
    tag = request.query.text("tag")
    return await progress(
        backend.registries.push(request.name, tag=tag, registry_auth=credentials_of(request)), request
    )


async def login(backend: Backend, request: Request) -> Reply:
    """SystemAuth."""
    return json_reply(await backend.registries.login(await request.json(AuthConfig)))


async def describe(backend: Backend, request: Request) -> Reply:
    """DistributionInspect."""
    return json_reply(await backend.registries.describe(request.name, registry_auth=credentials_of(request)))


HANDLERS: Mapping[str, Handler] = {"ImagePush": push, "SystemAuth": login, "DistributionInspect": describe}
