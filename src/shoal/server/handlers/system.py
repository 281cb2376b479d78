"""The engine as a whole: ping, version, info, events, disk usage. Docker API v1.50 `System*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.api.gates import gate_info
from shoal.api.options import EventOptions
from shoal.api.timestamps import parse_unix
from shoal.api.version import V1_42, V1_44
from shoal.errors import InvalidArgument
from shoal.server.messages import TEXT, Reply, Request, StreamReply, json_reply
from shoal.server.streams import as_json, json_stream_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler
    from shoal.server.query import Query

# Builder 1 makes the docker command post its context to /build; 2 would make it look for BuildKit.
_PING_HEADERS = (
    (b"Builder-Version", b"1"),
    (b"Cache-Control", b"no-cache, no-store, must-revalidate"),
    (b"Pragma", b"no-cache"),
    (b"Swarm", b"inactive"),
)
_PONG = Reply(200, b"OK", TEXT, _PING_HEADERS)
_PONG_HEAD = Reply(200, b"", TEXT, _PING_HEADERS)
_ALL_KINDS = frozenset({"container", "image", "volume", "build-cache"})


async def ping(_backend: Backend, _request: Request) -> Reply:
    """SystemPing."""
    return _PONG


async def ping_head(_backend: Backend, _request: Request) -> Reply:
    """SystemPingHead: the headers alone."""
    return _PONG_HEAD


async def version(backend: Backend, _request: Request) -> Reply:
    """SystemVersion."""
    return json_reply(await backend.system.version())


async def info(backend: Backend, request: Request) -> Reply:
    """SystemInfo."""
    shown = await backend.system.info()
    gate_info(shown, request.version)
    return json_reply(shown)


async def events(backend: Backend, request: Request) -> StreamReply:
    """SystemEvents. The head goes out at once, so that a client knows that it misses nothing from here on."""
    query = request.query
    options = EventOptions(since_ns=_moment(query, "since"), until_ns=_moment(query, "until"), filters=query.filters())
    if options.since_ns is not None and options.until_ns is not None and options.since_ns > options.until_ns:
        since, until = (query.text(name).partition(".")[0] for name in ("since", "until"))
        raise InvalidArgument(f"`since` time ({since}) cannot be after `until` time ({until})")
    messages = await backend.system.events(options)
    content_type, prefix = json_stream_type(request.header(b"accept"))
    return StreamReply(as_json(messages, prefix), content_type, is_endless=True)


def _moment(query: Query, name: str) -> int | None:
    text = query.text(name)
    return parse_unix(text) if text else None


async def disk_usage(backend: Backend, request: Request) -> Reply:
    """SystemDataUsage."""
    is_choosy = request.version >= V1_42
    kinds = frozenset(request.query.all("type")) if is_choosy else _ALL_KINDS
    for unknown in sorted(kinds - _ALL_KINDS):
        raise InvalidArgument(f"unknown object type: {unknown}")
    usage = await backend.system.disk_usage(kinds or _ALL_KINDS)
    if not is_choosy:
        usage.builder_size = sum(record.size for record in usage.build_cache or ())
    if request.version < V1_44:
        for image in usage.images or ():
            image.virtual_size = image.size
    return json_reply(usage)


async def vm_status(backend: Backend, _request: Request) -> Reply:
    """What virtual machines need of this host, and what is missing: an addition of shoal's."""
    return json_reply(await backend.machines.status())


async def vm_setup(backend: Backend, request: Request) -> Reply:
    """Gets a kernel for virtual machines: an addition of shoal's."""
    return json_reply(await backend.machines.set_up(request.query.text("kernel")))


HANDLERS: Mapping[str, Handler] = {
    "SystemPing": ping,
    "SystemPingHead": ping_head,
    "SystemVersion": version,
    "SystemInfo": info,
    "SystemEvents": events,
    "SystemDataUsage": disk_usage,
    "ShoalVmStatus": vm_status,
    "ShoalVmSetup": vm_setup,
}
