"""Manifests, indexes, and the choice of a platform."""

from __future__ import annotations

import json

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.manifests import DOCKER_CONFIG, DOCKER_LAYER, decode_manifest, encode_manifest, kind_of
from shoal.image.registry.platforms import best_match
from shoal.oci.descriptor import DOCKER_MANIFEST, MEDIA_INDEX, MEDIA_MANIFEST, Descriptor, DescriptorPlatform
from shoal.oci.platform import Platform

DIGEST = "sha256:" + "1" * 64


def manifest(layer: str = DOCKER_LAYER, config: str = DOCKER_CONFIG, **fields: object) -> bytes:
    """A manifest of one layer."""
    layers = [{"mediaType": layer, "digest": DIGEST, "size": 1, **fields}]
    return json.dumps(
        {"schemaVersion": 2, "config": {"mediaType": config, "digest": DIGEST, "size": 2}, "layers": layers}
    ).encode()


def test_encode_manifest_is_as_docker_writes_it() -> None:
    """Indented by three, its keys in Docker's order, and read back as it was."""
    raw = encode_manifest(Descriptor(DOCKER_CONFIG, DIGEST, 7), [Descriptor(DOCKER_LAYER, DIGEST, 9)])
    begin = f'{{\n   "schemaVersion": 2,\n   "mediaType": "{DOCKER_MANIFEST}",\n   "config": {{\n      "mediaType": '
    assert raw.startswith(begin.encode())
    assert decode_manifest(raw).layers == [Descriptor(DOCKER_LAYER, DIGEST, 9)]


@pytest.mark.parametrize(
    "media_type",
    [
        DOCKER_LAYER,
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    ],
)
def test_decode_manifest_takes_layers_of_every_compression(media_type: str) -> None:
    """Plain, gzip and zstd, in both vocabularies."""
    assert decode_manifest(manifest(media_type)).layers[0].media_type == media_type


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (manifest("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), "cannot use layer"),
        (manifest("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"), "cannot use layer"),
        (manifest(config="application/vnd.cncf.helm.config.v1+json"), "this is no image"),
        (manifest(size=-1), "invalid image manifest"),
        (manifest(digest="sha256:../../etc"), "invalid checksum digest"),
        (manifest(digest="md5:" + "1" * 32), "unsupported digest algorithm"),
        (b"<html>", "invalid image manifest"),
        (b'{"schemaVersion":2}', "invalid image manifest"),
    ],
)
def test_decode_manifest_refuses_what_can_not_be_used(raw: bytes, words: str) -> None:
    """One sentence for each way of being no image."""
    with pytest.raises(InvalidArgument) as caught:
        decode_manifest(raw)
    assert words in caught.value.what


@pytest.mark.parametrize(
    ("raw", "content_type", "words"),
    [
        (b'{"schemaVersion":1}', DOCKER_MANIFEST, "unsupported manifest"),
        (b'{"schemaVersion":2}', "text/html", "unsupported manifest"),
        (b'{"schemaVersion":2,"manifests":[]}', MEDIA_MANIFEST, "invalid manifest"),
        (b'{"schemaVersion":2,"layers":[]}', MEDIA_INDEX, "invalid manifest"),
        (b"[" * 100_000, MEDIA_INDEX, "invalid manifest"),
    ],
)
def test_kind_of_refuses_what_is_no_manifest(raw: bytes, content_type: str, words: str) -> None:
    """Version 1, other documents, one thing under the name of another, and nesting without end."""
    with pytest.raises(InvalidArgument) as caught:
        kind_of(raw, content_type)
    assert caught.value.what == words


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v8", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v5", None),
        ("windows/amd64", None),
        ("linux/s390x", None),
    ],
)
def test_best_match_prefers_the_nearest_variant(wanted: str, chosen: str | None) -> None:
    """The variant itself, else the newest older one; attestations, which are for no platform, never."""
    names = ["unknown/unknown", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/amd64"]
    listed = [Descriptor(MEDIA_MANIFEST, DIGEST, index, platform=_platform(name)) for index, name in enumerate(names)]
    found = best_match(Platform.parse(wanted, host=Platform("linux", "amd64")), listed)
    assert (names[found.size] if found else None) == chosen


def _platform(name: str) -> DescriptorPlatform:
    os, architecture, variant = (*name.split("/"), "")[:3]
    return DescriptorPlatform(architecture, os, "", variant)
