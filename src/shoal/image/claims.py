"""What of the data root belongs to the image store, path by path: for the books about the disk.

Each path is claimed once. Whatever lies beside these paths is scratch, or nobody's.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shoal.image.artifacts import Artifacts
from shoal.image.image import Image
from shoal.image.kept_blobs import LayerBlob
from shoal.image.layers import Layer
from shoal.image.partials import KeptBlob
from shoal.oci.digest import Digest, hex_of, short_id

IMAGE, LAYER, CONTAINER, PARTIAL_PULL, BUILD_CACHE = "image", "image-layer", "container", "partial-pull", "build-cache"
ARTIFACT, BLOB = "artifact", "layer-blob"


class Claim(NamedTuple):
    """A file or directory, and whose it is. `names` are what a user calls it by; `is_fixed`: it does not change."""

    kind: str
    id: str
    names: tuple[str, ...]
    path: str
    in_use: bool
    is_fixed: bool = False


class Directories(NamedTuple):
    """Where the parts of the store lie."""

    blobs: str
    layers: str
    snapshots: str
    partial: str
    artifacts: str
    compressed: str


def store_claims(
    directories: Directories,
    images: Sequence[Image],
    layers: Sequence[Layer],
    leased: Mapping[Digest, str],
    snapshots: Mapping[str, Sequence[Digest]],
    linked: Container[Digest] = (),
) -> Iterator[Claim]:
    """The claims of images, layers and snapshots.

    `leased` says what layers under leases are for, `snapshots` which layers each one stands on. A layer of none of
    them is the build cache's. Those in `linked` have files that another layer has too by now.
    """
    users: dict[str, list[str]] = {}
    for image in images:
        path = os.path.join(directories.blobs, "sha256", hex_of(image.id))
        yield Claim(IMAGE, image.id, _names(image), path, in_use=False, is_fixed=True)
        for chain_id in image.chain_ids:
            users.setdefault(chain_id, []).extend(_names(image))
    below = {chain_id: key for key, chain in snapshots.items() for chain_id in chain}
    for layer in layers:
        chain_id = Digest(layer.chain_id)
        path = os.path.join(directories.layers, hex_of(chain_id))
        if chain_id in users or chain_id in below:
            kind, names = LAYER, users.get(chain_id, [])
        elif chain_id in leased:
            kind, names = PARTIAL_PULL, [leased[chain_id]]
        else:
            kind, names = BUILD_CACHE, []
        yield Claim(kind, chain_id, tuple(names), path, in_use=chain_id in below, is_fixed=chain_id not in linked)
    for key in snapshots:
        yield Claim(CONTAINER, key, (), os.path.join(directories.snapshots, key), in_use=True)


def partial_claim(blob: KeptBlob) -> Claim:
    """The claim of a blob that has not come to its end, or whose layer was not made."""
    return Claim(PARTIAL_PULL, blob.digest, (), blob.path, in_use=blob.in_use)


def artifact_claims(artifacts: Artifacts) -> Iterator[Claim]:
    """The claims of the files of artifacts."""
    names: dict[str, list[str]] = {}
    for artifact in artifacts.all():
        for part in artifact.parts:
            names.setdefault(artifacts.path(part), []).append(artifact.reference.familiar())
    for path in artifacts.paths():
        id = f"sha256:{os.path.basename(path)}"
        yield Claim(ARTIFACT, id, tuple(names.get(path, ())), path, in_use=False, is_fixed=True)


def blob_claims(blobs: Iterable[LayerBlob], images: Sequence[Image]) -> Iterator[Claim]:
    """The claims of compressed layers that are kept beside the unpacked ones."""
    for blob in blobs:
        names = [name for image in images if blob.chain_id in image.chain_ids for name in _names(image)]
        yield Claim(BLOB, blob.digest, tuple(names), blob.path, in_use=False, is_fixed=True)


def _names(image: Image) -> tuple[str, ...]:
    return tuple(image.repo_tags) or (short_id(image.id),)
