"""Volumes, of which there are none yet: lists are empty, and no name is known. Docker API v1.50 `Volume*`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from shoal.api.volume import VolumeListResponse
from shoal.errors import NotFound
from shoal.server.messages import JSON, Reply, Request, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def list_volumes(_backend: Backend, request: Request) -> Reply:
    """VolumeList."""
    request.query.filters()
    return json_reply(VolumeListResponse())


async def inspect(_backend: Backend, request: Request) -> NoReturn:
    """VolumeInspect and VolumeDelete."""
    raise NotFound(f"get {request.name}: no such volume")


async def prune(_backend: Backend, request: Request) -> Reply:
    """VolumePrune."""
    request.query.filters()
    return Reply(200, b'{"VolumesDeleted":null,"SpaceReclaimed":0}\n', JSON)


HANDLERS: Mapping[str, Handler] = {
    "VolumeList": list_volumes,
    "VolumeInspect": inspect,
    "VolumeDelete": inspect,
    "VolumePrune": prune,
}
