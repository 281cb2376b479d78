"""`docker save`: one archive that both old and new readers take.

As Docker writes it today: an OCI layout (oci-layout, index.json, blobs/sha256/…) whose blobs manifest.json and
repositories name as well. Layers are plain tars, each once. The same images give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shoal.image.attestations import Attestation, attested, name_of
from shoal.image.image import Image
from shoal.image.layers import Layer, LayerStore
from shoal.image.tar.header import DIRECTORY, TarEntry
from shoal.image.tar.writer import TarWriter
from shoal.oci.descriptor import (
    ANNOTATION_IMAGE_NAME,
    ANNOTATION_REF_NAME,
    MEDIA_CONFIG,
    MEDIA_INDEX,
    MEDIA_LAYER,
    MEDIA_MANIFEST,
    Descriptor,
    DescriptorPlatform,
    Index,
    Manifest,
)
from shoal.oci.digest import Digest, hex_of, sha256_of
from shoal.oci.documents import changed, encode_document
from shoal.oci.reference import Reference


@dataclass
class _Contents:
    """The tables of contents, as they grow image by image."""

    manifests: list[Descriptor] = field(default_factory=list)
    items: list[dict[str, object]] = field(default_factory=list)
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)


def manifest_of(image: Image, config_size: int, layers: Sequence[Layer]) -> Manifest:
    """The manifest of `image` in an archive, where layers are plain tars. Pure."""
    return Manifest(
        schema_version=2,
        media_type=MEDIA_MANIFEST,
        config=Descriptor(MEDIA_CONFIG, image.id, config_size),
        layers=[Descriptor(MEDIA_LAYER, layer.diff_id, layer.archive_size) for layer in layers],
    )


class ArchiveWriter:
    """Writes images through `write`; the caller holds their layers."""

    def __init__(self, layers: LayerStore, write: Callable[[bytes | memoryview], object]) -> None:
        self._layers = layers
        self._tar = TarWriter(write)
        self._written: set[Digest] = set()
        self._contents = _Contents()

    def begin(self) -> None:
        """Write the directories."""
        for name in (b"blobs/", b"blobs/sha256/"):
            self._tar.add(TarEntry(name, DIRECTORY, mode=0o755))

    def add(
        self, image: Image, config: bytes, names: Sequence[Reference], attestations: Sequence[Attestation] = ()
    ) -> None:
        """Write `image`, whose configuration is `config`, under `names`, with what is attested of it.

        Raises: Internal for a damaged layer.
        """
        layers = [self._layer(chain_id) for chain_id in image.chain_ids]
        self._blob(config)
        raw = encode_document(manifest_of(image, len(config), [self._layers.get(id) for id in image.chain_ids]))
        digest = self._blob(raw)
        platform = DescriptorPlatform(
            architecture=image.document.architecture, os=image.document.os, variant=image.document.variant
        )
        told = Descriptor(MEDIA_MANIFEST, digest, len(raw), None, platform)
        if attestations:
            told = self._attested(told, name_of(names[0] if names else None, image.id), attestations)
        for name in names or (None,):
            annotations = None
            if name is not None:
                annotations = {ANNOTATION_IMAGE_NAME: name.normalised(), ANNOTATION_REF_NAME: name.tag or ""}
                top = hex_of(Digest(layers[-1].digest)) if layers else hex_of(image.id)
                self._contents.repositories.setdefault(name.familiar_name, {})[name.tag or ""] = top
            self._contents.manifests.append(changed(told, annotations=annotations))
        self._contents.items.append(
            {
                "Config": _blob_name(image.id),
                "RepoTags": [name.familiar() for name in names] or None,
                "Layers": [_blob_name(Digest(layer.digest)) for layer in layers],
                "LayerSources": {layer.digest: layer for layer in layers},
            }
        )

    def _attested(self, image: Descriptor, name: str, attestations: Sequence[Attestation]) -> Descriptor:
        """The index that has the image's manifest and the attestations, once all of them are written."""
        documents = attested(image, name, attestations)
        for _, data in documents.blobs:
            self._blob(data)
        self._blob(documents.manifest)
        return Descriptor(MEDIA_INDEX, self._blob(documents.index), len(documents.index))

    def finish(self) -> None:
        """Write the tables of contents and the end."""
        index = Index(schema_version=2, media_type=MEDIA_INDEX, manifests=self._contents.manifests)
        self._file("index.json", encode_document(index))
        self._file("manifest.json", encode_document(self._contents.items))
        self._file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        if self._contents.repositories:
            self._file("repositories", encode_document(self._contents.repositories))
        self._tar.close()

    def _layer(self, chain_id: Digest) -> Descriptor:
        layer = self._layers.get(chain_id)
        digest = Digest(layer.diff_id)
        if digest not in self._written:
            self._written.add(digest)
            entry = TarEntry(_blob_name(digest).encode(), size=layer.archive_size)
            self._tar.add(entry, self._layers.archive(chain_id))
        return Descriptor(MEDIA_LAYER, digest, layer.archive_size)

    def _blob(self, data: bytes) -> Digest:
        digest = sha256_of(data)
        if digest not in self._written:
            self._written.add(digest)
            self._file(_blob_name(digest), data)
        return digest

    def _file(self, name: str, data: bytes) -> None:
        self._tar.add(TarEntry(name.encode(), size=len(data)), (data,))


def _blob_name(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"
