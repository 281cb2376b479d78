"""Descriptors, manifests and indexes: how OCI content points to other content.

Pure wire types. OCI image-spec descriptor.md, manifest.md, image-index.md, image-layout.md; Docker's older media types
are read as well.
"""

from __future__ import annotations

import msgspec

MEDIA_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_MEDIA_TYPES = frozenset({MEDIA_INDEX, DOCKER_MANIFEST_LIST})
MANIFEST_MEDIA_TYPES = frozenset({MEDIA_MANIFEST, DOCKER_MANIFEST})

ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_IMAGE_NAME = "io.containerd.image.name"


class DescriptorPlatform(msgspec.Struct, frozen=True, omit_defaults=True, rename={"os_version": "os.version"}):
    """The platform that a descriptor in an index is for."""

    architecture: str = ""
    os: str = ""
    os_version: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A pointer to content: its type, digest and size in bytes. OCI image-spec descriptor.md."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] | None = None
    platform: DescriptorPlatform | None = None
    artifact_type: str = ""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """One image for one platform: its config and its layers, bottom first; or an artifact. OCI manifest.md."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: list[Descriptor]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A list of manifests, or of further indexes. OCI image-spec image-index.md."""

    schema_version: int
    media_type: str = ""
    manifests: list[Descriptor]
    annotations: dict[str, str] | None = None


class ArchiveManifest(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """One item of the `manifest.json` that `docker save` writes."""

    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None
