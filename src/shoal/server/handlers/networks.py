"""Networks, read only. Docker API v1.50 `Network*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.errors import Forbidden
from shoal.server.messages import Reply, Request, json_reply

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


async def remove(backend: Backend, request: Request) -> Reply:
    """NetworkDelete: refused, since every network there is belongs to the engine."""
    network = await backend.networks.inspect(request.name)
    raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")


async def prune(backend: Backend, request: Request) -> Reply:
    """NetworkPrune."""
    return json_reply(await backend.networks.prune(request.query.filters()))


HANDLERS: Mapping[str, Handler] = {
    "NetworkList": list_networks,
    "NetworkInspect": inspect,
    "NetworkDelete": remove,
    "NetworkPrune": prune,
}
