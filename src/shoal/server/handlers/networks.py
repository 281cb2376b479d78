"""Networks. Docker API v1.50 `Network*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.network import (
    EndpointSettings,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkDisconnectRequest,
)
from shoal.server.messages import NO_CONTENT, Reply, Request, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def list_networks(backend: Backend, request: Request) -> Reply:
    """NetworkList."""
    return json_reply(await backend.networks.list(request.query.filters()))


async def inspect(backend: Backend, request: Request) -> Reply:
    """NetworkInspect."""
    return json_reply(await backend.networks.inspect(request.name))


async def create(backend: Backend, request: Request) -> Reply:
    """NetworkCreate."""
    return json_reply(await backend.networks.create(await request.json(NetworkCreateRequest)), 201)


async def remove(backend: Backend, request: Request) -> Reply:
    """NetworkDelete."""
    await backend.networks.remove(request.name)
    return NO_CONTENT


async def connect(backend: Backend, request: Request) -> Reply:
    """NetworkConnect."""
    wanted = await request.json(NetworkConnectRequest)
    await backend.networks.connect(request.name, wanted.container, wanted.endpoint_config or EndpointSettings())
    return Reply(200)


async def disconnect(backend: Backend, request: Request) -> Reply:
    """NetworkDisconnect."""
    wanted = await request.json(NetworkDisconnectRequest)
    await backend.networks.disconnect(request.name, wanted.container, force=wanted.force)
    return Reply(200)


async def prune(backend: Backend, request: Request) -> Reply:
    """NetworkPrune."""
    return json_reply(await backend.networks.prune(request.query.filters()))


HANDLERS: Mapping[str, Handler] = {
    "NetworkList": list_networks,
    "NetworkInspect": inspect,
    "NetworkCreate": create,
    "NetworkDelete": remove,
    "NetworkConnect": connect,
    "NetworkDisconnect": disconnect,
    "NetworkPrune": prune,
}
