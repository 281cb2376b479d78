"""What the store says about an image: plain values for the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NewType

from shoal.errors import InvalidArgument
from shoal.oci.digest import Digest
from shoal.oci.image_spec import ImageConfig, ImageDocument
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

ImageId = NewType("ImageId", Digest)
LAYERS_MAX = 500  # overlayfs stacks no more


def check_depth(layers: int) -> None:
    """Nothing, if so many layers can be stacked. Raises: InvalidArgument."""
    if layers > LAYERS_MAX:
        raise InvalidArgument("max depth exceeded", why=f"it has {layers} layers, and {LAYERS_MAX} can be stacked")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it was when it was asked for. `chain_ids` and `diff_ids` run from the bottom layer up."""

    id: ImageId
    document: ImageDocument
    config: ImageConfig
    chain_ids: tuple[Digest, ...]
    size_bytes: int
    created_ns: int
    parent: ImageId | None
    references: tuple[Reference, ...] = ()
    last_tagged_ns: int = 0

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The digest of each layer's plain tar."""
        rootfs = self.document.rootfs
        return tuple(Digest(diff_id) for diff_id in (rootfs.diff_ids or ())) if rootfs else ()

    @property
    def platform(self) -> Platform:
        """What the image is made for."""
        return Platform(self.document.os, self.document.architecture, self.document.variant)

    @property
    def repo_tags(self) -> list[str]:
        """The names with tags, as Docker shows them: `busybox:latest`."""
        return [reference.familiar() for reference in self.references if reference.digest is None]

    @property
    def repo_digests(self) -> list[str]:
        """The names with digests, as Docker shows them: `busybox@sha256:…`."""
        return [reference.familiar() for reference in self.references if reference.digest is not None]


class HistoryEntry(NamedTuple):
    """One step of an image's making, as `docker history` shows it. Docker API v1.50 ImageHistoryResponseItem."""

    id: str  # of the image that ended with this step, or `<missing>`
    created_ns: int
    created_by: str
    tags: list[str]
    size_bytes: int
    comment: str


class Untagged(NamedTuple):
    """A name that was taken from an image: `busybox:latest`."""

    reference: str


class Deleted(NamedTuple):
    """An image or a layer that is gone."""

    digest: Digest


Removal = Untagged | Deleted


class ImageUser(NamedTuple):
    """A container that was made from an image."""

    container_id: str
    is_running: bool


InUse = Callable[[ImageId], Sequence[ImageUser]]


class LayerProgress(NamedTuple):
    """Loading: so much of a layer's archive is unpacked."""

    diff_id: Digest
    current_bytes: int
    total_bytes: int


class Renamed(NamedTuple):
    """Loading: a name was taken from an older image."""

    reference: str
    previous: ImageId


class Loaded(NamedTuple):
    """Loading: an image is there now, under this name, or without one."""

    id: ImageId
    reference: str | None


LoadEvent = LayerProgress | Renamed | Loaded
