"""The cache of a build as a directory on a client's machine: an OCI layout, made here, and read when it comes back.

What comes back is a stranger's: nothing of it is believed before its digest is seen.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from secrets import token_hex

from shoal.build.cache_document import CachedLayer
from shoal.errors import InvalidArgument, NotFound
from shoal.image.archive_files import ArchiveFiles
from shoal.image.layers import LayerStore
from shoal.image.registry.manifests import MANIFEST_MAX, decode_artifact
from shoal.image.tar.header import DIRECTORY, TarEntry
from shoal.image.tar.writer import TarWriter
from shoal.oci.build_cache import CACHE_DOCUMENT_MAX, MEDIA_CACHE
from shoal.oci.descriptor import MEDIA_INDEX, MEDIA_LAYER, MEDIA_MANIFEST, Descriptor, Index, Manifest
from shoal.oci.digest import Digest, hex_of, parse_digest, sha256_of
from shoal.oci.documents import decode_document, encode_document

_KEPT = 4
_KEPT_S = 600.0


def write_layout(layers: LayerStore, config: bytes, chosen: Sequence[CachedLayer], out: TarWriter) -> None:
    """Write the layout; the caller holds the layers. Raises: Internal for a damaged one; what writing raises."""
    for name in (b"blobs/", b"blobs/sha256/"):
        out.add(TarEntry(name, DIRECTORY, mode=0o755))
    blobs = []
    for layer in chosen:
        size = layers.get(layer.chain_id).archive_size
        out.add(TarEntry(_place(layer.diff_id), size=size), layers.archive(layer.chain_id))
        blobs.append(Descriptor(MEDIA_LAYER, layer.diff_id, size))
    described = Descriptor(MEDIA_CACHE, sha256_of(config), len(config))
    manifest = encode_document(Manifest(schema_version=2, media_type=MEDIA_MANIFEST, config=described, layers=blobs))
    top = Descriptor(MEDIA_MANIFEST, sha256_of(manifest), len(manifest))
    index = encode_document(Index(schema_version=2, media_type=MEDIA_INDEX, manifests=[top]))
    files = (
        (_place(Digest(described.digest)), config),
        (_place(Digest(top.digest)), manifest),
        (b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        (b"index.json", index),
    )
    for name, data in files:
        out.add(TarEntry(name, size=len(data)), (data,))
    out.close()


def read_layout(files: ArchiveFiles) -> tuple[bytes, Manifest]:
    """The cache's configuration and its manifest. Raises: InvalidArgument."""
    entry = files.find(b"index.json")
    if entry is None or not entry.is_file or entry.size > MANIFEST_MAX:
        raise InvalidArgument("this is no build cache", why="it has no index.json")
    index = decode_document(files.head(b"index.json", entry.size), Index, "index.json")
    if len(index.manifests) != 1:
        raise InvalidArgument("this is no build cache", why=f"its index has {len(index.manifests)} manifests")
    manifest = decode_artifact(_read(files, index.manifests[0], MANIFEST_MAX))
    if manifest.config.media_type != MEDIA_CACHE:
        raise InvalidArgument("this is no build cache", why=f"it is {manifest.config.media_type[:100]}")
    return _read(files, manifest.config, CACHE_DOCUMENT_MAX), manifest


def _read(files: ArchiveFiles, descriptor: Descriptor, limit: int) -> bytes:
    path = blob_path(files, descriptor)
    if not 0 <= descriptor.size <= limit:
        raise InvalidArgument(f"cannot use {descriptor.digest}", why=f"its size is over {limit} bytes")
    raw = files.head(path, descriptor.size)
    if sha256_of(raw) != descriptor.digest:
        raise InvalidArgument(f"cannot use {descriptor.digest}", why="its content is another")
    return raw


def blob_path(files: ArchiveFiles, descriptor: Descriptor) -> bytes:
    """Where a blob of a layout is. Raises: InvalidArgument where it is not there, or not of its size."""
    path = _place(parse_digest(descriptor.digest))
    entry = files.find(path)
    if entry is None or not entry.is_file or entry.size != descriptor.size:
        raise InvalidArgument(f"the build cache has no {descriptor.digest}", why="a blob is missing, or cut off")
    return path


def _place(digest: Digest) -> bytes:
    return f"blobs/sha256/{hex_of(digest)}".encode()


class SentCaches:
    """Layouts that clients have sent for their next builds, by token; the oldest of more than a few goes.

    One that no build has asked for within `kept_s` goes too. Used on the event loop.
    """

    def __init__(self, kept_s: float = _KEPT_S) -> None:
        self._kept_s = kept_s
        self._files: OrderedDict[str, ArchiveFiles] = OrderedDict()

    def add(self, files: ArchiveFiles) -> str:
        """The token of a layout, which is owned from now on."""
        token = token_hex(16)
        self._files[token] = files
        while len(self._files) > _KEPT:
            self._files.popitem(last=False)[1].close()
        asyncio.get_running_loop().call_later(self._kept_s, self._drop, token)
        return token

    def _drop(self, token: str) -> None:
        files = self._files.pop(token, None)
        if files is not None:
            files.close()

    def take(self, token: str) -> ArchiveFiles:
        """The layout, which is the caller's. Raises: NotFound."""
        files = self._files.pop(token, None)
        if files is None:
            raise NotFound("the build cache that was sent is not here any more", fix="build again")
        return files
