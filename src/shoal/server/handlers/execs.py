"""Execs: further processes in running containers. Docker API v1.50 `Exec*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.detach_keys import parse_detach_keys
from shoal.api.exec import ExecConfig, ExecStartConfig, IDResponse
from shoal.api.version import V1_42
from shoal.errors import InvalidArgument
from shoal.server.handlers.containers import window_size
from shoal.server.messages import AnyReply, HijackReply, Reply, Request, json_reply
from shoal.server.streams import stream_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


async def create(backend: Backend, request: Request) -> Reply:
    """ContainerExec."""
    config = await request.json(ExecConfig)
    if not config.cmd:
        raise InvalidArgument("No exec command specified")
    parse_detach_keys(config.detach_keys)
    if request.version < V1_42:
        config.console_size = None
    return json_reply(IDResponse(id=await backend.execs.create(request.name, config)), 201)


async def start(backend: Backend, request: Request) -> AnyReply:
    """ExecStart: 200 and nothing for a detached one, else the connection is handed over."""
    config = await request.json(ExecStartConfig)
    if request.version < V1_42 or not config.tty:
        config.console_size = None
    attachment = await backend.execs.prepare_start(request.name, config)
    if attachment is None:
        return Reply(200)
    content_type = stream_type(mux=attachment.mux, version=request.version)
    return HijackReply(attachment.connect, attachment.mux, content_type)


async def inspect(backend: Backend, request: Request) -> Reply:
    """ExecInspect."""
    return json_reply(await backend.execs.inspect(request.name))


async def resize(backend: Backend, request: Request) -> Reply:
    """ExecResize."""
    rows, columns = window_size(request.query)
    await backend.execs.resize(request.name, rows, columns)
    return Reply(200)


HANDLERS: Mapping[str, Handler] = {
    "ContainerExec": create,
    "ExecStart": start,
    "ExecInspect": inspect,
    "ExecResize": resize,
}
