"""Plugins, of which there are none: the list is empty. Docker API v1.50 `PluginList`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.server.messages import JSON, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def list_plugins(_backend: Backend, request: Request) -> Reply:
    """PluginList."""
    request.query.filters()
    return Reply(200, b"[]\n", JSON)


HANDLERS: Mapping[str, Handler] = {"PluginList": list_plugins}
