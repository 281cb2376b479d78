"""Manifests and indexes as a registry gives them: checked, decoded, and made. Pure.

OCI image-spec manifest.md, image-index.md; Docker's image manifest version 2, schema 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from shoal.errors import InvalidArgument
from shoal.image.image import check_depth
from shoal.oci.descriptor import (
    DOCKER_MANIFEST,
    INDEX_MEDIA_TYPES,
    MANIFEST_MEDIA_TYPES,
    MEDIA_CONFIG,
    MEDIA_LAYER,
    Descriptor,
    Index,
    Manifest,
)
from shoal.oci.digest import parse_digest
from shoal.oci.distribution import ManifestKind
from shoal.oci.documents import decode_document

MANIFEST_MAX = 4 << 20
ACCEPT = ", ".join((*sorted(MANIFEST_MEDIA_TYPES), *sorted(INDEX_MEDIA_TYPES)))
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIGS = frozenset({DOCKER_CONFIG, MEDIA_CONFIG, "application/octet-stream", ""})
_DOCKER_LAYER = re.compile(r"application/vnd\.docker\.image\.rootfs\.diff\.tar(\.gzip|\.zstd)?\Z")
_FOREIGN_LAYER = re.compile(r"application/vnd\.(docker\.image\.rootfs\.foreign|oci\.image\.layer\.nondistributable)\.")
_OCI_LAYER = re.compile(re.escape(MEDIA_LAYER) + r"(\+gzip|\+zstd)?\Z")


def kind_of(raw: bytes, content_type: str) -> str:
    """The media type of a manifest document: what it says of itself, else the header.

    Raises: InvalidArgument where it is no manifest, or one of version 1.
    """
    said = decode_document(raw, ManifestKind, "manifest")
    if said.schema_version != 2:
        raise InvalidArgument(
            "unsupported manifest", why=f"its schema version is {said.schema_version}", fix="push the image anew"
        )
    media_type = said.media_type or content_type.partition(";")[0].strip()
    if media_type in INDEX_MEDIA_TYPES or media_type in MANIFEST_MEDIA_TYPES:
        if (said.manifests is not None) != (media_type in INDEX_MEDIA_TYPES):
            raise InvalidArgument("invalid manifest", why=f"its content is not `{media_type}`")
        return media_type
    raise InvalidArgument("unsupported manifest", why=f"its media type is `{media_type[:100]}`")


def decode_index(raw: bytes) -> Index:
    """The index in `raw`. Raises: InvalidArgument."""
    return decode_document(raw, Index, "image index")


def is_artifact(raw: bytes) -> bool:
    """Whether this manifest is of something else than an image. Raises: InvalidArgument."""
    return decode_document(raw, Manifest, "image manifest").config.media_type not in _CONFIGS


def decode_artifact(raw: bytes) -> Manifest:
    """The manifest in `raw`, of which every descriptor can be used, whatever it is of. Raises: InvalidArgument."""
    manifest = decode_document(raw, Manifest, "image manifest")
    for descriptor in (manifest.config, *manifest.layers):
        parse_digest(descriptor.digest)
        if not 0 <= descriptor.size < 1 << 63:
            why = f"the size of {descriptor.digest} is {'negative' if descriptor.size < 0 else 'beyond all measure'}"
            raise InvalidArgument("invalid image manifest", why=why)
    return manifest


def decode_manifest(raw: bytes) -> Manifest:
    """The image manifest in `raw`, of which every descriptor can be used.

    Raises: InvalidArgument, also for what is no image, and for layers that are to come from elsewhere.
    """
    manifest = decode_artifact(raw)
    if manifest.config.media_type not in _CONFIGS:
        raise InvalidArgument("this is no image", why=f"its configuration is `{manifest.config.media_type[:100]}`")
    check_depth(len(manifest.layers))
    for layer in manifest.layers:
        if _FOREIGN_LAYER.match(layer.media_type):
            why = "it is to be fetched from elsewhere (a foreign layer), which is not done"
            raise InvalidArgument(
                f"cannot use layer {layer.digest}", why=why, fix="ask its maker for an image with all layers"
            )
        if not (_DOCKER_LAYER.match(layer.media_type) or _OCI_LAYER.match(layer.media_type)):
            why = f"its media type is `{layer.media_type[:100]}`"
            raise InvalidArgument(f"cannot use layer {layer.digest}", why=why)
    return manifest


def docker_layer(media_type: str) -> str:
    """What Docker's schema calls a layer that OCI's, or itself, calls `media_type`."""
    plain, dot, compression = DOCKER_LAYER.rpartition(".")
    for other in ("gzip", "zstd"):
        if media_type.endswith(other):
            return plain + dot + other
    return plain if media_type in (plain, MEDIA_LAYER) else plain + dot + compression


def encode_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """The schema 2 manifest of an image, byte for byte as Docker writes it."""

    def plain(descriptor: Descriptor) -> dict[str, object]:
        return {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}

    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": plain(config),
        "layers": [plain(layer) for layer in layers],
    }
    return json.dumps(document, indent=3).encode()
