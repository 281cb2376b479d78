"""The store seen from inside: additions of shoal's to Docker's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.server.messages import JSON, Reply, Request, StreamReply, json_reply
from shoal.server.streams import as_json, begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler

_OCTETS = b"application/octet-stream"


async def disk(backend: Backend, _request: Request) -> Reply:
    """Whose every byte on disk is."""
    return json_reply(await backend.storage.disk())


async def tree(backend: Backend, request: Request) -> Reply:
    """An image as the stack of its layers."""
    return json_reply(await backend.storage.stack(request.name))


async def diff(backend: Backend, request: Request) -> StreamReply:
    """In what the image `with` differs from this one, a JSON object a line."""
    differences = backend.storage.differences(request.name, request.query.text("with"))
    return StreamReply(as_json(await begun(differences)), JSON)


async def fsck(backend: Backend, request: Request) -> StreamReply:
    """What is wrong in the store, a JSON object a line, and how far the check is."""
    auths = request.header(b"x-registry-config").decode("latin-1")
    steps = backend.storage.check(repair=request.query.flag("repair"), registry_config=auths)
    return StreamReply(as_json(await begun(steps)), JSON)


async def artifacts(backend: Backend, _request: Request) -> Reply:
    """What was pulled and is no image."""
    return json_reply(await backend.storage.artifacts())


async def artifact_file(backend: Backend, request: Request) -> StreamReply:
    """A file of an artifact: the one that `file` names, else the only one."""
    pieces = backend.storage.artifact_file(request.name, request.query.text("file"))
    return StreamReply(await begun(pieces), _OCTETS)


async def remove_artifact(backend: Backend, request: Request) -> Reply:
    """Forget an artifact."""
    await backend.storage.remove_artifact(request.name)
    return Reply(204)


HANDLERS: Mapping[str, Handler] = {
    "ShoalDiskUsers": disk,
    "ShoalImageTree": tree,
    "ShoalImageDiff": diff,
    "ShoalFsck": fsck,
    "ShoalArtifactList": artifacts,
    "ShoalArtifactGet": artifact_file,
    "ShoalArtifactDelete": remove_artifact,
}
