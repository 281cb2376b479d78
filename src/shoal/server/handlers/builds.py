"""Builds. Docker API v1.50 `ImageBuild`, `BuildPrune`, and the `/build/cancel` that clients know."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shoal.api.archive import IdResponse
from shoal.api.build import (
    BuildOptions,
    KeptContextState,
    PruneOptions,
    parse_parameter,
    parse_provenance,
    parse_secrets,
)
from shoal.api.build_caches import parse_cache_place
from shoal.api.host_config import Ulimit
from shoal.server.handlers.images import progress
from shoal.server.messages import TAR, Reply, Request, StreamReply, json_reply
from shoal.server.streams import begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.server.backend import Backend
    from shoal.server.messages import Handler
    from shoal.server.query import Query

T = TypeVar("T")


async def build(backend: Backend, request: Request) -> StreamReply:
    """ImageBuild."""
    return await progress(backend.builds.build(_options(request), request.body), request)


async def prune(backend: Backend, request: Request) -> Reply:
    """BuildPrune."""
    query = request.query
    keep = next((query.integer(name) for name in ("reserved-space", "keep-storage") if query.text(name)), None)
    options = PruneOptions(filters=query.filters(), all=query.flag("all"), keep_bytes=keep or 0)
    return json_reply(await backend.builds.prune(options))


async def cancel(backend: Backend, request: Request) -> Reply:
    """BuildCancel."""
    await backend.builds.cancel(request.query.text("id"))
    return Reply(204)


async def context(backend: Backend, request: Request) -> Reply:
    """Whether a build can change the kept context of a token."""
    return json_reply(KeptContextState(known=await backend.builds.has_context(request.query.text("token"))))


async def state(backend: Backend, request: Request) -> Reply:
    """What a step of a build came to, as an image."""
    step = request.query.integer("step") or 0
    return json_reply(IdResponse(id=await backend.builds.state(request.query.text("build"), step)), 201)


async def send_cache(backend: Backend, request: Request) -> Reply:
    """The token of a cache that the next build takes its steps from."""
    return json_reply(IdResponse(id=await backend.builds.send_cache(request.body)), 201)


async def cache(backend: Backend, request: Request) -> StreamReply:
    """The cache of a build, as an archive of an OCI layout."""
    query = request.query
    pieces = backend.builds.cache(query.text("build"), is_whole=query.text("mode") == "max")
    return StreamReply(await begun(pieces), TAR)


def _options(request: Request) -> BuildOptions:
    query = request.query
    secrets = parse_secrets(request.header(b"x-shoal-build-secrets"))
    return BuildOptions(
        dockerfile=query.text("dockerfile") or "Dockerfile",
        tags=tuple(tag for tag in query.all("t") if tag),
        remote=query.text("remote"),
        quiet=query.flag("q"),
        no_cache=query.flag("nocache"),
        pull=query.flag("pull"),
        cache_from=tuple(parse_cache_place(text) for text in _json(query, "cachefrom", list[str]) or ()),
        cache_to=tuple(parse_cache_place(text) for text in _json(query, "cacheto", list[str]) or ()),
        arguments=_json(query, "buildargs", dict[str, str | None]) or {},
        labels=_json(query, "labels", dict[str, str]) or {},
        target=query.text("target"),
        platform=query.text("platform"),
        network_mode=query.text("networkmode"),
        extra_hosts=tuple(_extra_hosts(query)),
        memory=query.integer("memory") or 0,
        memory_swap=query.integer("memswap") or 0,
        cpu_shares=query.integer("cpushares") or 0,
        cpu_period=query.integer("cpuperiod") or 0,
        cpu_quota=query.integer("cpuquota") or 0,
        cpuset_cpus=query.text("cpusetcpus"),
        cpuset_mems=query.text("cpusetmems"),
        cgroup_parent=query.text("cgroupparent"),
        shm_size=query.integer("shmsize") or 0,
        ulimits=tuple(_json(query, "ulimits", list[Ulimit]) or ()),
        isolation=query.text("isolation"),
        squash=query.flag("squash"),
        outputs=query.text("outputs"),
        sbom=query.flag("sbom"),
        provenance=parse_provenance(query.text("provenance")),
        build_id=query.text("buildid"),
        version=query.text("version") or "1",
        events=query.flag("events"),
        why=query.flag("why"),
        context=query.text("context"),
        registry_config=request.header(b"x-registry-config").decode("latin-1"),
        secrets=secrets.contents(),
        ssh=secrets.ssh,
    )


def _extra_hosts(query: Query) -> list[str]:
    """`--add-host`: a JSON list from some clients, one text with commas from others, or the parameter repeated."""
    values = query.all("extrahosts")
    if len(values) == 1 and values[0].startswith(("[", "null")):
        return _json(query, "extrahosts", list[str]) or []
    return [host for value in values for host in value.split(",") if host]


def _json(query: Query, name: str, kind: type[T]) -> T | None:
    return parse_parameter(name, query.text(name), kind)


HANDLERS: Mapping[str, Handler] = {
    "ImageBuild": build,
    "BuildPrune": prune,
    "BuildCancel": cancel,
    "ShoalBuildContext": context,
    "ShoalBuildState": state,
    "ShoalBuildCacheSend": send_cache,
    "ShoalBuildCache": cache,
}
