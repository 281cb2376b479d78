"""The files of containers. Docker API v1.50 `ContainerArchive*`, `ContainerExport`, `ImageCommit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.archive import CommitRequest, ExtractOptions, IdResponse
from shoal.api.container import ContainerConfig
from shoal.api.wire import decode
from shoal.errors import InvalidArgument
from shoal.server.messages import MOST_JSON_BYTES, TAR, Reply, Request, StreamReply, json_reply
from shoal.server.streams import begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler

_STAT = b"X-Docker-Container-Path-Stat"
_OCTETS = b"application/octet-stream"


async def stat(backend: Backend, request: Request) -> Reply:
    """ContainerArchiveInfo."""
    found = await backend.archives.stat(request.name, _path(request))
    return Reply(200, headers=((_STAT, found.header()),))


async def read(backend: Backend, request: Request) -> StreamReply:
    """ContainerArchive."""
    found, pieces = await backend.archives.read(request.name, _path(request))
    return StreamReply(pieces, TAR, headers=((_STAT, found.header()),))


async def write(backend: Backend, request: Request) -> Reply:
    """PutContainerArchive."""
    query = request.query
    options = ExtractOptions(
        no_overwrite_dir_non_dir=query.flag("noOverwriteDirNonDir"), copy_owner=query.flag("copyUIDGID")
    )
    await backend.archives.write(request.name, _path(request), request.body, options)
    return Reply(200)


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    return path


async def export(backend: Backend, request: Request) -> StreamReply:
    """ContainerExport."""
    return StreamReply(await begun(backend.archives.export(request.name)), _OCTETS)


async def commit(backend: Backend, request: Request) -> Reply:
    """ImageCommit."""
    query = request.query
    body = await request.body.read(MOST_JSON_BYTES)
    config = None
    if body.strip() not in (b"", b"null"):
        request.require_json()
        config = decode(body, ContainerConfig)
    made = await backend.archives.commit(
        CommitRequest(
            container=query.text("container"),
            repository=query.text("repo"),
            tag=query.text("tag"),
            comment=query.text("comment"),
            author=query.text("author"),
            pause=query.flag("pause", default=True) if query.text("pause") else True,
            changes=tuple(query.all("changes")),
            config=config,
        )
    )
    return json_reply(IdResponse(id=made), 201)


HANDLERS: Mapping[str, Handler] = {
    "ContainerArchiveInfo": stat,
    "ContainerArchive": read,
    "PutContainerArchive": write,
    "ContainerExport": export,
    "ImageCommit": commit,
}
