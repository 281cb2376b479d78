"""Caches of builds in other places (`build.ports.CacheSource`): in registries, and in what a client has sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from shoal.api.build_caches import CachePlace
from shoal.build.cache_document import CachedLayer, decode_cache
from shoal.build.ports import CacheSource, MadeLayer
from shoal.engine.building.cache_layout import SentCaches, blob_path, read_layout
from shoal.engine.building.layers import BuildLayers
from shoal.engine.building.registry_config import registry_auth
from shoal.engine.images_registries import ImageTransfers
from shoal.errors import ShoalError
from shoal.image.archive_files import ArchiveFiles
from shoal.oci.build_cache import CACHE_DOCUMENT_MAX, MEDIA_CACHE
from shoal.oci.descriptor import Descriptor, Manifest
from shoal.oci.digest import Digest
from shoal.oci.reference import Reference


class Caches:
    """The caches of one build; `auths` are the user's credentials by registry."""

    def __init__(
        self, layers: BuildLayers, transfers: ImageTransfers, sent: SentCaches, auths: Mapping[str, msgspec.Raw]
    ) -> None:
        self._layers = layers
        self._transfers = transfers
        self._sent = sent
        self._auths = auths

    @asynccontextmanager
    async def opened(
        self, places: Sequence[CachePlace], problems: list[str]
    ) -> AsyncIterator[tuple[list[CacheSource], list[str]]]:
        """The caches in these places, and the names of images that may have one in them, within the block.

        One that can't be used is no reason to fail: why goes to `problems`.
        """
        sources: list[CacheSource] = []
        images: list[str] = []
        async with AsyncExitStack() as stack:
            for place in places:
                try:
                    source = await self._source(place, stack)
                except ShoalError as problem:
                    problems.append(f"the cache {place.reference or place.path or place.token} is not used: {problem}")
                    continue
                if source is not None:
                    sources.append(source)
                elif place.reference:
                    images.append(place.reference)
            yield sources, images

    async def _source(self, place: CachePlace, stack: AsyncExitStack) -> CacheSource | None:
        """The cache; None where the place is an image's."""
        if place.type == "local":
            files = self._sent.take(place.token)
            stack.callback(files.close)
            return await asyncio.to_thread(LocalCache, files, self._layers)
        if place.type == "inline":
            return None
        reference = Reference.parse(place.reference).with_default_tag()
        if self._transfers.is_here(reference):
            return None
        auth = registry_auth(self._auths, reference)
        found = await self._transfers.carried_out(
            auth, lambda work: work.cache(reference, MEDIA_CACHE, CACHE_DOCUMENT_MAX)
        )
        if found is None:
            return None
        return RegistryCache(reference, *found, self._transfers, auth)

    async def push(self, place: CachePlace, config: bytes, layers: Sequence[CachedLayer]) -> Digest:
        """The digest under which the registry has the cache now; the caller holds the layers.

        Raises: InvalidArgument, Unavailable, Internal.
        """
        reference = Reference.parse(place.reference).with_default_tag()
        auth = registry_auth(self._auths, reference)
        return await self._transfers.carried_out(
            auth, lambda work: work.push_cache(reference, MEDIA_CACHE, config, layers)
        )


class RegistryCache:
    """A cache in a registry: only the layers that are asked for are fetched."""

    def __init__(
        self, reference: Reference, config: bytes, manifest: Manifest, transfers: ImageTransfers, auth: str | None
    ) -> None:
        self._reference = reference
        self._blobs: Sequence[Descriptor] = manifest.layers
        self._diff_ids, self.steps = decode_cache(config, len(manifest.layers))
        self._transfers = transfers
        self._auth = auth

    async def bring(self, layer: int, below: Sequence[Digest]) -> MadeLayer:
        """See CacheSource."""
        made = await self._transfers.carried_out(
            self._auth,
            lambda work: work.cached_layer(self._reference, self._blobs[layer], self._diff_ids[layer], below),
        )
        return MadeLayer(Digest(made.chain_id), made.diff_id, made.size_bytes)


class LocalCache:
    """A cache that a client has sent. Making it blocks. Raises: InvalidArgument."""

    def __init__(self, files: ArchiveFiles, layers: BuildLayers) -> None:
        config, manifest = read_layout(files)
        self._files = files
        self._blobs: Sequence[Descriptor] = manifest.layers
        self._diff_ids, self.steps = decode_cache(config, len(manifest.layers))
        self._layers = layers

    async def bring(self, layer: int, below: Sequence[Digest]) -> MadeLayer:
        """See CacheSource."""
        return await asyncio.to_thread(self._bring, layer, below)

    def _bring(self, layer: int, below: Sequence[Digest]) -> MadeLayer:
        blob = blob_path(self._files, self._blobs[layer])
        path = self._layers.scratch_path("cached")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb"):
                self._files.copy(blob, fd)
            return self._layers.unpacked(path, below, self._diff_ids[layer])
        finally:
            if os.path.exists(path):
                os.unlink(path)
