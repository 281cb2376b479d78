"""Images between here and registries. Docker API v1.50 `ImagePush`, `SystemAuth`, `DistributionInspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.registry import AuthConfig
from shoal.api.version import V1_46
from shoal.server.handlers.images import platform_of, progress
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
    platform = platform_of(request, V1_46)
    messages = backend.registries.push(request.name, tag=tag, platform=platform, registry_auth=credentials_of(request))
    return await progress(messages, request)


async def login(backend: Backend, request: Request) -> Reply:
    """SystemAuth."""
    return json_reply(await backend.registries.login(await request.json(AuthConfig)))


async def describe(backend: Backend, request: Request) -> Reply:
    """DistributionInspect."""
    return json_reply(await backend.registries.describe(request.name, registry_auth=credentials_of(request)))


async def referrers(backend: Backend, request: Request) -> Reply:
    """What is in a registry about an image of it."""
    return json_reply(await backend.registries.referrers(request.name, registry_auth=credentials_of(request)))


HANDLERS: Mapping[str, Handler] = {
    "ImagePush": push,
    "SystemAuth": login,
    "DistributionInspect": describe,
    "ShoalReferrers": referrers,
}
