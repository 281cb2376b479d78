"""Containers. Docker API v1.50 `Container*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.container import ContainerCreateRequest, WaitExitError, WaitResponse
from shoal.api.detach_keys import parse_detach_keys
from shoal.api.gates import gate_create, gate_inspection, gate_summaries
from shoal.api.options import AttachOptions, ListOptions, LogOptions
from shoal.api.timestamps import parse_unix
from shoal.api.version import V1_28, V1_30, V1_41, V1_42
from shoal.api.wire import decode
from shoal.errors import InvalidArgument, ShoalError
from shoal.server.messages import (
    JSON,
    MOST_JSON_BYTES,
    NO_CONTENT,
    HijackReply,
    RelayReply,
    Reply,
    Request,
    StreamReply,
    json_reply,
)
from shoal.server.streams import SingleJSON, log_bytes, stream_type

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler
    from shoal.server.query import Query


_EMPTY_BODY_BYTES = 7  # "null" and "{}", which old clients send for nothing


async def list_containers(backend: Backend, request: Request) -> Reply:
    """ContainerList."""
    query = request.query
    limit = query.integer("limit")
    options = ListOptions(
        all=query.flag("all"),
        limit=limit if limit and limit > 0 else None,
        size=query.flag("size"),
        filters=query.filters(),
    )
    rows = await backend.containers.list(options)
    gate_summaries(rows, request.version)
    return json_reply(rows)


async def create(backend: Backend, request: Request) -> Reply:
    """ContainerCreate."""
    body = await request.body.read(MOST_JSON_BYTES)
    request.require_json()
    if not body:
        raise InvalidArgument("invalid JSON", why="got EOF while reading request body")
    if body.strip() == b"null":
        raise InvalidArgument("config cannot be empty in order to create a container")
    wanted = decode(body, ContainerCreateRequest)
    gate_create(wanted, request.version)
    platform = request.query.optional("platform") if request.version >= V1_41 else None
    return json_reply(await backend.containers.create(request.query.optional("name"), wanted, platform), 201)


async def inspect(backend: Backend, request: Request) -> Reply:
    """ContainerInspect."""
    shown = await backend.containers.inspect(request.name, size=request.query.flag("size"))
    gate_inspection(shown, request.version)
    return json_reply(shown)


async def start(backend: Backend, request: Request) -> Reply:
    """ContainerStart."""
    if int(request.header(b"content-length") or 0) > _EMPTY_BODY_BYTES or request.header(b"transfer-encoding"):
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    keys = request.query.text("detachKeys")
    parse_detach_keys(keys)
    if request.query.text("checkpoint"):
        raise InvalidArgument("checkpoint is only supported in experimental mode")
    await backend.containers.start(request.name, detach_keys=keys)
    return NO_CONTENT


async def stop(backend: Backend, request: Request) -> Reply:
    """ContainerStop."""
    await backend.containers.stop(request.name, signal=_signal(request), timeout_s=request.query.integer("t"))
    return NO_CONTENT


async def restart(backend: Backend, request: Request) -> Reply:
    """ContainerRestart."""
    await backend.containers.restart(request.name, signal=_signal(request), timeout_s=request.query.integer("t"))
    return NO_CONTENT


async def move(backend: Backend, request: Request) -> Reply:
    """Another isolation for a container that exists: an addition of shoal's."""
    await backend.containers.move(request.name, isolation=request.query.text("isolation"))
    return NO_CONTENT


def _signal(request: Request) -> str | None:
    """The signal to stop with, which came with API 1.42."""
    return request.query.optional("signal") if request.version >= V1_42 else None


async def kill(backend: Backend, request: Request) -> Reply:
    """ContainerKill."""
    try:
        await backend.containers.kill(request.name, signal=request.query.optional("signal"))
    except ShoalError as problem:
        problem.what = f"cannot kill container: {request.name}: {problem.what}"
        raise
    return NO_CONTENT


async def remove(backend: Backend, request: Request) -> Reply:
    """ContainerDelete."""
    query = request.query
    await backend.containers.remove(
        request.name, force=query.flag("force"), volumes=query.flag("v"), link=query.flag("link")
    )
    return NO_CONTENT


async def rename(backend: Backend, request: Request) -> Reply:
    """ContainerRename."""
    await backend.containers.rename(request.name, request.query.text("name"))
    return NO_CONTENT


async def pause(backend: Backend, request: Request) -> Reply:
    """ContainerPause."""
    await backend.containers.pause(request.name)
    return NO_CONTENT


async def unpause(backend: Backend, request: Request) -> Reply:
    """ContainerUnpause."""
    await backend.containers.unpause(request.name)
    return NO_CONTENT


async def wait(backend: Backend, request: Request) -> StreamReply:
    """ContainerWait. The head goes out at once: `docker run` starts the container only when it has seen it."""
    condition = request.query.text("condition") if request.version >= V1_30 else ""
    ticket = await backend.containers.wait(request.name, condition or "not-running")
    return StreamReply(SingleJSON(ticket, _lost), JSON, is_endless=True)


def _lost(error: ShoalError) -> WaitResponse:
    return WaitResponse(status_code=-1, error=WaitExitError(message=str(error)))


def _attach_options(query: Query, *, all_streams: bool = False, framed: bool = True) -> AttachOptions:
    return AttachOptions(
        stream=query.flag("stream"),
        stdin=all_streams or query.flag("stdin"),
        stdout=all_streams or query.flag("stdout"),
        stderr=all_streams or query.flag("stderr"),
        logs=query.flag("logs"),
        detach_keys=parse_detach_keys(query.text("detachKeys")),
        framed=framed,
    )


async def attach_websocket(backend: Backend, request: Request) -> RelayReply:
    """ContainerAttachWebsocket. Before API 1.42 it was at every stream; before 1.28 output came as text."""
    from shoal.server.websocket import WebSocket  # 14 ms that most daemons never need

    options = _attach_options(request.query, all_streams=request.version < V1_42, framed=False)
    websocket = WebSocket(request.headers, binary=request.version >= V1_28, takes_input=options.stdin)
    attachment = await backend.containers.prepare_attach(request.name, options)

    async def serve(client: socket.socket, early: bytes) -> None:
        await websocket.serve(client, early, attachment.connect)

    return RelayReply(serve)


async def attach(backend: Backend, request: Request) -> HijackReply:
    """ContainerAttach."""
    options = _attach_options(request.query)
    attachment = await backend.containers.prepare_attach(request.name, options)
    content_type = stream_type(mux=attachment.mux, version=request.version)
    return HijackReply(attachment.connect, attachment.mux, content_type)


async def logs(backend: Backend, request: Request) -> StreamReply:
    """ContainerLogs."""
    options = _log_options(request.query)
    stream = await backend.containers.logs(request.name, options)
    mux = not stream.tty
    pieces = log_bytes(stream.blocks, options, mux=mux)
    return StreamReply(pieces, stream_type(mux=mux, version=request.version), is_endless=options.follow)


def _log_options(query: Query) -> LogOptions:
    stdout, stderr = query.flag("stdout"), query.flag("stderr")
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    return LogOptions(
        follow=query.flag("follow"),
        stdout=stdout,
        stderr=stderr,
        since_ns=_moment(query, "since"),
        until_ns=_moment(query, "until"),
        timestamps=query.flag("timestamps"),
        details=query.flag("details"),
        tail=_tail(query.text("tail")),
    )


def _moment(query: Query, name: str) -> int | None:
    """A Unix time in nanoseconds; 0 is what clients send for "no limit"."""
    text = query.text(name)
    return (parse_unix(text) or None) if text else None


def _tail(text: str) -> int | None:
    # "all", a negative number and anything that is no number mean all of it, as in the reference.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def resize(backend: Backend, request: Request) -> Reply:
    """ContainerResize."""
    rows, columns = window_size(request.query)
    await backend.containers.resize(request.name, rows, columns)
    return Reply(200)


def window_size(query: Query) -> tuple[int, int]:
    """Rows and columns of a terminal. Raises: InvalidArgument."""
    rows, columns = query.integer("h"), query.integer("w")
    if rows is None or columns is None or not (0 <= rows < 1 << 32 and 0 <= columns < 1 << 32):
        raise InvalidArgument(f"invalid terminal size {query.text('h')!r}x{query.text('w')!r}")
    return rows, columns


HANDLERS: Mapping[str, Handler] = {
    "ContainerList": list_containers,
    "ContainerCreate": create,
    "ContainerInspect": inspect,
    "ContainerLogs": logs,
    "ContainerResize": resize,
    "ContainerStart": start,
    "ContainerStop": stop,
    "ContainerRestart": restart,
    "ShoalContainerMove": move,
    "ContainerKill": kill,
    "ContainerRename": rename,
    "ContainerPause": pause,
    "ContainerUnpause": unpause,
    "ContainerAttach": attach,
    "ContainerAttachWebsocket": attach_websocket,
    "ContainerWait": wait,
    "ContainerDelete": remove,
}
