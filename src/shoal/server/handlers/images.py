"""Images. Docker API v1.50 `Image*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal import __version__
from shoal.api.image import OCIPlatform
from shoal.api.options import ImageListOptions
from shoal.api.version import V1_28, V1_44, V1_47, V1_48, V1_49, V1_50
from shoal.api.wire import decode
from shoal.errors import InvalidArgument, Unsupported
from shoal.server.messages import TAR, Reply, Request, StreamReply, json_reply
from shoal.server.streams import as_json, begun, json_stream_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shoal.api.progress import JSONMessage
    from shoal.api.version import ApiVersion
    from shoal.server.backend import Backend
    from shoal.server.messages import Handler


def platform_of(request: Request, since: ApiVersion) -> str | None:
    """The platform that the parameter `platform` names; None without it, and to clients older than `since`.

    Raises: InvalidArgument.
    """
    text = request.query.optional("platform")
    return parse_platform(text) if text is not None and request.version >= since else None


def parse_platform(text: str) -> str:
    """What an OCI platform as JSON names: "os/arch[/variant]". Raises: InvalidArgument."""
    try:
        named = decode(text.encode(), OCIPlatform)
    except InvalidArgument as error:
        raise InvalidArgument("failed to parse platform", why=str(error)) from None
    if not named.os or not named.architecture:
        raise InvalidArgument("failed to parse platform", why="both OS and Architecture must be provided")
    return "/".join(part for part in (named.os, named.architecture, named.variant) if part)


async def list_images(backend: Backend, request: Request) -> Reply:
    """ImageList."""
    query = request.query
    filters = query.filters()
    if request.version < V1_28 and query.text("filter"):
        filters = filters.adding("reference", query.text("filter"))  # the parameter of older clients
    options = ImageListOptions(
        all=query.flag("all"),
        shared_size=query.flag("shared-size"),
        manifests=query.flag("manifests") and request.version >= V1_47,
        filters=filters,
        version=request.version,
    )
    return json_reply(await backend.images.list(options))


async def inspect(backend: Backend, request: Request) -> Reply:
    """ImageInspect."""
    manifests, platform = request.query.flag("manifests"), platform_of(request, V1_49)
    if manifests and platform:
        raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
    manifests = manifests and request.version >= V1_48
    image = await backend.images.inspect(request.name, platform=platform, manifests=manifests)
    if request.version < V1_44:
        image.virtual_size = image.size
    return json_reply(image)


async def history(backend: Backend, request: Request) -> Reply:
    """ImageHistory."""
    return json_reply(await backend.images.history(request.name, platform=platform_of(request, V1_48)))


async def tag(backend: Backend, request: Request) -> Reply:
    """ImageTag."""
    repository = request.query.text("repo")
    if not repository:
        raise InvalidArgument("invalid reference format", why="the name of the repository is empty")
    await backend.images.tag(request.name, repository, request.query.text("tag"))
    return Reply(201)


async def remove(backend: Backend, request: Request) -> Reply:
    """ImageDelete."""
    query = request.query
    platforms = [parse_platform(text) for text in query.all("platforms")] if request.version >= V1_50 else []
    force, prune = query.flag("force"), not query.flag("noprune")
    removed = await backend.images.remove(request.name, force=force, prune=prune, platforms=platforms)
    return json_reply(removed)


async def load(backend: Backend, request: Request) -> StreamReply:
    """ImageLoad."""
    platform = platform_of(request, V1_48)
    messages = backend.images.load(request.body, quiet=request.query.flag("quiet"), platform=platform)
    return await progress(messages, request)


async def create(backend: Backend, request: Request) -> StreamReply:
    """ImageCreate: `docker pull` with `fromImage`, `docker import` with `fromSrc`."""
    query = request.query
    platform = query.optional("platform")
    image = query.text("fromImage")
    if image:
        auth = request.header(b"x-registry-auth").decode("latin-1") or None
        messages = backend.registries.pull(image, tag=query.text("tag"), platform=platform, registry_auth=auth)
        return await progress(messages, request)
    source = query.text("fromSrc")
    if source != "-":
        raise Unsupported(
            f"shoal {__version__} does not serve the import from a URL yet", fix="send the archive itself"
        )
    messages = backend.images.import_(
        request.body,
        repository=query.text("repo"),
        tag=query.text("tag"),
        changes=query.all("changes"),
        message=query.text("message"),
        platform=platform,
    )
    return await progress(messages, request)


async def progress(messages: AsyncIterator[JSONMessage], request: Request) -> StreamReply:
    """The answer that streams `messages`; what is refused before the first one is refused with a status."""
    content_type, prefix = json_stream_type(request.header(b"accept"))
    return StreamReply(as_json(await begun(messages), prefix), content_type)


async def save_one(backend: Backend, request: Request) -> StreamReply:
    """ImageGet."""
    return StreamReply(await begun(backend.images.save([request.name], platform=platform_of(request, V1_48))), TAR)


async def save_several(backend: Backend, request: Request) -> StreamReply:
    """ImageGetAll."""
    names, platform = request.query.all("names"), platform_of(request, V1_48)
    return StreamReply(await begun(backend.images.save(names, platform=platform)), TAR)


async def files(backend: Backend, request: Request) -> StreamReply:
    """What the image's containers would see, as one tar."""
    return StreamReply(await begun(backend.images.files(request.name)), TAR)


async def prune(backend: Backend, request: Request) -> Reply:
    """ImagePrune."""
    return json_reply(await backend.images.prune(request.query.filters()))


HANDLERS: Mapping[str, Handler] = {
    "ImageList": list_images,
    "ImageInspect": inspect,
    "ImageHistory": history,
    "ImageTag": tag,
    "ImageDelete": remove,
    "ImageLoad": load,
    "ImageCreate": create,
    "ImageGet": save_one,
    "ImageGetAll": save_several,
    "ImagePrune": prune,
    "ShoalImageFiles": files,
}
