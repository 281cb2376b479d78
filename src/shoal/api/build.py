"""Builds on the wire: what a client asks of one, and what it hears of the result. Docker API v1.50 ImageBuild."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from shoal.api.build_caches import CachePlace
from shoal.api.filters import Filters
from shoal.api.host_config import Ulimit
from shoal.api.wire import decode
from shoal.errors import InvalidArgument

T = TypeVar("T")
_PROVENANCE = {"": "", "0": "", "false": "", "1": "min", "true": "min"} | {
    f"{prefix}{mode}": mode for prefix in ("", "mode=") for mode in ("min", "max")
}


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """POST /build. Sizes in bytes, times in microseconds; 0 and "" are what the daemon sets.

    `arguments` without a value are those that the client does not have. What shoal adds: `events` asks for
    messages about each step in place of text, `why` for the reasons why it was made too; `context` is the token of the
    kept context that the body changes, or "new" to have it kept.
    """

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    remote: str = ""
    quiet: bool = False
    no_cache: bool = False
    pull: bool = False
    cache_from: tuple[CachePlace, ...] = ()
    cache_to: tuple[CachePlace, ...] = ()
    arguments: Mapping[str, str | None] = {}
    labels: Mapping[str, str] = {}
    target: str = ""
    platform: str = ""
    network_mode: str = ""
    extra_hosts: tuple[str, ...] = ()
    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    isolation: str = ""
    squash: bool = False
    outputs: str = ""
    sbom: bool = False
    provenance: str = ""
    build_id: str = ""
    version: str = "1"
    events: bool = False
    why: bool = False
    context: str = ""
    registry_config: str = ""
    secrets: Mapping[str, bytes] = {}
    ssh: Mapping[str, str] = {}


class PruneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """POST /build/prune. `keep_bytes` may stay, 0 for nothing; `all` takes what images have, too."""

    filters: Filters = msgspec.field(default_factory=Filters)
    all: bool = False
    keep_bytes: int = 0


class KeptContextState(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """GET /build/context: whether the context of this token is there, for a build that sends what has changed."""

    known: bool


class BuildSecrets(msgspec.Struct, kw_only=True):
    """What shoal's own client sends beside a request, in a header: secrets by id, in base64, and agents' sockets."""

    secrets: dict[str, str] = {}
    ssh: dict[str, str] = {}

    def contents(self) -> dict[str, bytes]:
        """The secrets themselves. Raises: InvalidArgument."""
        try:
            return {id: base64.b64decode(text, validate=True) for id, text in self.secrets.items()}
        except ValueError as error:
            raise InvalidArgument("invalid X-Shoal-Build-Secrets") from error


def parse_secrets(header: bytes) -> BuildSecrets:
    """The header X-Shoal-Build-Secrets: JSON in base64, or nothing. Raises: InvalidArgument."""
    if not header:
        return BuildSecrets()
    try:
        return msgspec.json.decode(base64.b64decode(header, validate=True), type=BuildSecrets)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidArgument("invalid X-Shoal-Build-Secrets") from error


def parse_provenance(text: str) -> str:
    """`min`, `max` or "" of what `--provenance` says. Raises: InvalidArgument."""
    if text not in _PROVENANCE:
        raise InvalidArgument(f"invalid provenance: {text}", fix="write true, false, mode=min or mode=max")
    return _PROVENANCE[text]


def parse_parameter(name: str, text: str, kind: type[T]) -> T | None:
    """The JSON of a parameter, None for `null` or nothing. Raises: InvalidArgument."""
    if not text:
        return None
    try:
        value = decode(text.encode("utf-8", "surrogateescape"), object)
        return msgspec.convert(value, kind) if value is not None else None
    except (InvalidArgument, msgspec.ValidationError) as error:
        raise InvalidArgument(f"error reading {name}", why=str(error)) from error
