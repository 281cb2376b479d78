"""The table of contents of an image archive, in each of the three forms that are about.

    manifest.json     `docker save` since 1.10; wins if several are there
    index.json        OCI image layout (buildah, skopeo, podman, buildx)
    repositories      `docker save` before 1.10: one directory (VERSION, json, layer.tar) for each layer

Pure but for reading members. Sources: OCI image-spec image-layout.md; Docker image spec v1.0 to v1.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from shoal.errors import InvalidArgument
from shoal.image.archive.members import Member, Members
from shoal.image.tar.compression import decompressed, read_chunks
from shoal.oci.descriptor import (
    ANNOTATION_IMAGE_NAME,
    ANNOTATION_REF_NAME,
    INDEX_MEDIA_TYPES,
    ArchiveManifest,
    Descriptor,
    Index,
    Manifest,
)
from shoal.oci.documents import decode_document, encode_document
from shoal.oci.image_spec import decode_image
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

_ATTESTATION = "vnd.docker.reference.type"
_NESTING_MAX = 4
_IMAGES_MAX = 1000
_ANCESTORS_MAX = 1000
_ANCESTORS_BYTES_MAX = 32 << 20
# Keys of a version-1 document that the configuration made from it doesn't have.
_V1_ONLY = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")


@dataclass(frozen=True, slots=True)
class Planned:
    """An image to load: how its configuration is read, its layers from the bottom up, and its names.

    Only what is loaded is read, since an archive may name a big file as the configuration of a thousand images.
    """

    config: Callable[[], bytes]
    layers: tuple[Member, ...]
    names: tuple[Reference, ...]


def read_contents(members: Members, platform: Platform) -> list[Planned]:
    """The images of the archive that `platform` runs.

    Raises: InvalidArgument; `unrecognized image format` if there's no table of contents.
    """
    if (manifest := members.find("manifest.json")) is not None:
        return _few(_docker(members, manifest))
    if (index := members.find("index.json")) is not None:
        left = iter(range(_IMAGES_MAX))
        top = decode_document(members.read(index), Index, "index.json")
        planned = list(_oci(members, top, platform, (), left, 0))
        if not planned:
            raise InvalidArgument(f"no image for platform {platform} in the archive")
        return planned
    if (repositories := members.find("repositories")) is not None:
        return _few(_version1(members, repositories))
    raise InvalidArgument(
        "unrecognized image format",
        why="no manifest.json, index.json or repositories in the archive",
        fix="a root file system without image data is for `docker import`",
    )


def _few(planned: Iterator[Planned]) -> list[Planned]:
    """All of them. Raises: InvalidArgument for more than anybody saves."""
    few = list(islice(planned, _IMAGES_MAX + 1))
    if len(few) > _IMAGES_MAX:
        raise _too_many()
    return few


def _too_many() -> InvalidArgument:
    return InvalidArgument(
        "invalid image archive", why=f"more than {_IMAGES_MAX} images", fix="save them in several archives"
    )


def chosen_of(planned: Sequence[Planned], platform: Platform | None) -> Sequence[Planned]:
    """Those whose configuration is for `platform`, all without one. Raises: InvalidArgument if there are none."""
    if platform is None:
        return planned
    chosen = [each for each in planned if platform.runs(_made_for(each))]
    if not chosen:
        found = ", ".join(sorted({str(_made_for(each)) for each in planned}))
        raise InvalidArgument(f"no image for platform {platform} in the archive", why=f"it is for {found}")
    return chosen


def _made_for(planned: Planned) -> Platform:
    document = decode_image(planned.config())
    return Platform(document.os, document.architecture, document.variant)


def _docker(members: Members, manifest: Member) -> Iterator[Planned]:
    for item in decode_document(members.read(manifest), list[ArchiveManifest], "manifest.json"):
        yield Planned(
            partial(members.read, members.need(item.config)),
            tuple(members.need(layer) for layer in item.layers or ()),
            tuple(_tagged(name) for name in item.repo_tags or ()),
        )


def _tagged(name: str) -> Reference:
    reference = Reference.parse(name)
    if reference.tag is None:
        raise InvalidArgument(f'invalid tag "{name}"', why="a name in manifest.json has no tag")
    return reference


def _oci(
    members: Members, index: Index, platform: Platform, names: tuple[Reference, ...], left: Iterator[int], depth: int
) -> Iterator[Planned]:
    """The images of an OCI index that `platform` runs; `names` were given to the index as a whole.

    `left` has an item for each manifest and index that may still be read.
    """
    if depth > _NESTING_MAX:
        raise InvalidArgument("invalid image archive", why="its indexes are nested too deep")
    for descriptor in index.manifests:
        annotations = descriptor.annotations or {}
        if _ATTESTATION in annotations or not _runs(platform, descriptor):
            continue
        if next(left, None) is None:
            raise _too_many()
        here = (*names, *_annotated_name(annotations))
        raw = members.read(members.blob(descriptor))
        if descriptor.media_type in INDEX_MEDIA_TYPES:
            yield from _oci(members, decode_document(raw, Index, "image index"), platform, here, left, depth + 1)
            continue
        manifest = decode_document(raw, Manifest, "image manifest")
        layers = tuple(members.blob(layer) for layer in manifest.layers)
        yield Planned(partial(members.read, members.blob(manifest.config)), layers, here)


def _runs(platform: Platform, descriptor: Descriptor) -> bool:
    wanted = descriptor.platform
    if wanted is None or not wanted.architecture:
        return True
    return platform.runs(Platform(wanted.os, wanted.architecture, wanted.variant))


def _annotated_name(annotations: dict[str, str]) -> tuple[Reference, ...]:
    """The name that the writer put into the annotations; a lone tag is no name."""
    name = annotations.get(ANNOTATION_IMAGE_NAME) or annotations.get(ANNOTATION_REF_NAME, "")
    if not name or (ANNOTATION_IMAGE_NAME not in annotations and ":" not in name and "/" not in name):
        return ()
    return (Reference.parse(name).with_default_tag(),)


# -- version 1 --------------------------------------------------------------------------------------------------------


def _version1(members: Members, repositories: Member) -> Iterator[Planned]:
    tables = decode_document(members.read(repositories), dict[str, dict[str, str]], "repositories")
    names: dict[str, list[Reference]] = {}
    for repository, tags in tables.items():
        for tag, top in tags.items():
            names.setdefault(top, []).append(Reference.parse(repository).with_tag(tag))
    for top, references in names.items():
        layers = tuple(members.need(f"{layer}/layer.tar") for layer, _ in _ancestry(members, top))
        yield Planned(partial(_config_of, members, top, layers), layers, tuple(references))


def _ancestry(members: Members, top: str) -> list[tuple[str, dict[str, object]]]:
    """The ids and documents of the layers from the bottom up to `top`."""
    chain: list[tuple[str, dict[str, object]]] = []
    size_bytes = 0
    current: str | None = top
    while current:
        if len(chain) >= _ANCESTORS_MAX or any(current == known for known, _ in chain):
            raise InvalidArgument("invalid image archive", why=f"the parents of `{top}` go in a circle")
        raw = members.read(members.need(f"{current}/json"))
        size_bytes += len(raw)
        if size_bytes > _ANCESTORS_BYTES_MAX:
            raise InvalidArgument("invalid image archive", why=f"the documents of `{top}` are too big")
        document = decode_document(raw, dict[str, object], f"{current}/json")
        chain.append((current, document))
        parent = document.get("parent")
        current = parent if isinstance(parent, str) else None
    return chain[::-1]


def _config_of(members: Members, top: str, layers: Sequence[Member]) -> bytes:
    """The configuration that the chain of version-1 documents up to `top` amounts to."""
    documents = [document for _, document in _ancestry(members, top)]
    kept = {key: value for key, value in documents[-1].items() if key not in _V1_ONLY}
    history = []
    for document in documents:
        entry: dict[str, object] = {key: document[key] for key in ("created", "author", "comment") if key in document}
        entry["created_by"] = _command_of(document.get("container_config"))
        history.append(entry)
    rootfs = {"type": "layers", "diff_ids": [_plain_digest(layer) for layer in layers]}
    return encode_document({**kept, "history": history, "rootfs": rootfs})


def _command_of(container_config: object) -> str:
    """The command that made a version-1 layer."""
    command = container_config.get("Cmd") if isinstance(container_config, dict) else None
    return " ".join(str(word) for word in command) if isinstance(command, list) else ""


def _plain_digest(layer: Member) -> str:
    if not layer.is_kept:
        return layer.digest
    hasher = hashlib.sha256()
    with open(layer.path, "rb") as file:
        for chunk in decompressed(read_chunks(file)):
            hasher.update(chunk)
    return "sha256:" + hasher.hexdigest()
