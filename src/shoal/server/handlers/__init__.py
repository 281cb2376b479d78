"""What the served operations do: read the request's parameters, ask the engine, answer. One module an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.server.handlers import (
    archives,
    builds,
    containers,
    execs,
    images,
    networks,
    plugins,
    registries,
    storage,
    system,
    upkeep,
    volumes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.messages import Handler

HANDLERS: Mapping[str, Handler] = {
    **archives.HANDLERS,
    **builds.HANDLERS,
    **containers.HANDLERS,
    **execs.HANDLERS,
    **images.HANDLERS,
    **networks.HANDLERS,
    **plugins.HANDLERS,
    **registries.HANDLERS,
    **storage.HANDLERS,
    **system.HANDLERS,
    **upkeep.HANDLERS,
    **volumes.HANDLERS,
}
