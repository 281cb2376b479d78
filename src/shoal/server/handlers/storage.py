"""The store seen from inside: additions of shoal's to Docker's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.server.messages import Reply, Request, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def disk(backend: Backend, _request: Request) -> Reply:
    """Whose every byte on disk is."""
    return json_reply(await backend.storage.disk())


HANDLERS: Mapping[str, Handler] = {"ShoalDiskUsers": disk}
