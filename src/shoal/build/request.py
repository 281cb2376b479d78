"""What a build is asked for, as the solver takes it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.build.dockerfile.checks import Finding
from shoal.build.ports import CacheSource
from shoal.oci.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """One build. `platforms` are the machine's and the target's; times are not later than `time_ns` in the image.

    `cache_from` are images with a cache in them, `caches` are others.
    `environment` goes into every cache key of a command: limits and the like don't, but what a command may see does.
    `explains`: steps that miss the cache are told why.
    """

    name: str
    platforms: tuple[Platform, Platform]
    time_ns: int = 0
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    no_cache: bool = False
    explains: bool = False
    cache_from: tuple[str, ...] = ()
    caches: tuple[CacheSource, ...] = ()
    network: str = "default"
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """What a build came to."""

    image_id: str
    document: bytes
    unused_arguments: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What the checks say of the Dockerfile."""
