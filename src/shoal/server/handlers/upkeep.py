"""Containers looked at, limited anew and cleared away. Docker API v1.50 `ContainerTop`, `ContainerStats`, …"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.gates import gate_update
from shoal.api.ports import PortsChange
from shoal.api.update import ContainerUpdateRequest
from shoal.api.version import V1_41
from shoal.errors import InvalidArgument
from shoal.server.messages import JSON, Reply, Request, StreamReply, json_reply
from shoal.server.streams import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def exits(backend: Backend, request: Request) -> Reply:
    """What ended a container's last runs: an addition of shoal's."""
    return json_reply(await backend.upkeep.exits(request.name))


async def ports(backend: Backend, request: Request) -> Reply:
    """Ports published by a container that exists, or no longer: an addition of shoal's."""
    return json_reply(await backend.upkeep.ports(request.name, await request.json(PortsChange)))


async def why_port(backend: Backend, request: Request) -> Reply:
    """What keeps clients from a container's port: an addition of shoal's."""
    return json_reply(await backend.upkeep.why_port(request.name, request.query.text("port")))


async def why_dns(backend: Backend, request: Request) -> Reply:
    """What keeps a container from a name: an addition of shoal's."""
    return json_reply(await backend.upkeep.why_dns(request.name, request.query.text("name")))


async def top(backend: Backend, request: Request) -> Reply:
    """ContainerTop."""
    return json_reply(await backend.upkeep.top(request.name, request.query.text("ps_args")))


async def stats(backend: Backend, request: Request) -> StreamReply:
    """ContainerStats. The head goes out at once, also for a single sample, which takes a second."""
    query = request.query
    stream = query.flag("stream", default=True)
    one_shot = query.flag("one-shot") and request.version >= V1_41
    if stream and one_shot:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    samples = await backend.upkeep.stats(request.name, stream=stream, one_shot=one_shot)
    return StreamReply(as_json(samples), JSON, is_endless=stream)


async def changes(backend: Backend, request: Request) -> Reply:
    """ContainerChanges."""
    return json_reply(await backend.upkeep.changes(request.name))


async def update(backend: Backend, request: Request) -> Reply:
    """ContainerUpdate."""
    wanted = await request.json(ContainerUpdateRequest)
    gate_update(wanted, request.version)
    return json_reply(await backend.upkeep.update(request.name, wanted))


async def prune(backend: Backend, request: Request) -> Reply:
    """ContainerPrune."""
    return json_reply(await backend.upkeep.prune(request.query.filters()))


HANDLERS: Mapping[str, Handler] = {
    "ShoalContainerExits": exits,
    "ShoalContainerWhyDns": why_dns,
    "ShoalContainerPorts": ports,
    "ShoalContainerWhyPort": why_port,
    "ContainerTop": top,
    "ContainerStats": stats,
    "ContainerChanges": changes,
    "ContainerUpdate": update,
    "ContainerPrune": prune,
}
