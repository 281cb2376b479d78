"""The cache of a build as it travels: the configuration document of its manifest. Pure wire types."""

from __future__ import annotations

import msgspec

MEDIA_CACHE = "application/vnd.shoal.build.cache.v1+json"
CACHE_DOCUMENT_MAX = 8 << 20


class CachedStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step by its key; `layer` is the number of the layer that it added."""

    key: str
    layer: int | None = None


class CacheDocument(msgspec.Struct, frozen=True, rename="camel"):
    """Which step came to which layer. `diff_ids` are the layers', in the manifest's order."""

    diff_ids: list[str]
    steps: list[CachedStep]
