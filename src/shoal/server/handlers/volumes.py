"""Volumes. Docker API v1.50 `Volume*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.version import ApiVersion
from shoal.api.volume import VolumeCreateRequest
from shoal.server.messages import NO_CONTENT, Reply, Request, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler

# Before it, a prune took named volumes too.
_ANONYMOUS_ONLY = ApiVersion(1, 42)


async def list_volumes(backend: Backend, request: Request) -> Reply:
    """VolumeList."""
    return json_reply(await backend.volumes.list(request.query.filters()))


async def create(backend: Backend, request: Request) -> Reply:
    """VolumeCreate."""
    return json_reply(await backend.volumes.create(await request.json(VolumeCreateRequest)), 201)


async def inspect(backend: Backend, request: Request) -> Reply:
    """VolumeInspect."""
    return json_reply(await backend.volumes.inspect(request.name))


async def remove(backend: Backend, request: Request) -> Reply:
    """VolumeDelete."""
    await backend.volumes.remove(request.name, force=request.query.flag("force"))
    return NO_CONTENT


async def prune(backend: Backend, request: Request) -> Reply:
    """VolumePrune."""
    filters = request.query.filters()
    if request.version < _ANONYMOUS_ONLY and "all" not in filters:
        filters = filters.adding("all", "true")
    return json_reply(await backend.volumes.prune(filters))


HANDLERS: Mapping[str, Handler] = {
    "VolumeList": list_volumes,
    "VolumeCreate": create,
    "VolumeInspect": inspect,
    "VolumeDelete": remove,
    "VolumePrune": prune,
}
