"""What a snapshotter is.

A snapshot is the root file system of one container: the read-only layers of an image and a writable place on top. It is
named by a key (the container's id). Life cycle:

    prepare(key, chain_ids) ──▶ rootfs(key), usage(key), changes(key), write_diff(key) ──▶ remove(key) ──▶ purge_trash()

`prepare` and `remove` take effect at once and as a whole: after a crash at any moment a snapshot is there, or it isn't.
A snapshot holds its layers: they are not discarded while it exists, even if the image is. Nothing is mounted here; the
container mounts what `rootfs` describes in its own mount namespace.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from shoal.oci.digest import Digest
from shoal.oci.rootfs import Rootfs


class ChangeKind(enum.IntEnum):
    """How a path differs from the image; the numbers are those of the Docker API (v1.50 FilesystemChange)."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One path, absolute in the container, that differs from the image."""

    path: str
    kind: ChangeKind


class Usage(NamedTuple):
    """What a snapshot's own files take: bytes (a hard-linked file counts once), and inodes."""

    size_bytes: int
    inodes: int


class Snapshotter(Protocol):
    """Makes, describes and removes snapshots. Thread-safe, blocking; needs root."""

    @property
    def name(self) -> str:
        """The name that `docker info` shows as the storage driver: `overlay2`, `vfs`."""

    def prepare(self, key: str, chain_ids: Sequence[Digest]) -> Rootfs:
        """A new snapshot `key` on the layers `chain_ids`, the bottom one first (as in `Image.chain_ids`).

        Raises: Conflict if `key` exists, NotFound if a layer doesn't, InvalidArgument for a key that is no file name,
        Internal for a full disk; nothing is left then.
        """

    def rootfs(self, key: str) -> Rootfs:
        """The root file system of an existing snapshot. Raises: NotFound."""

    def keys(self) -> list[str]:
        """The keys of all snapshots."""

    def chain(self, key: str) -> tuple[Digest, ...]:
        """The layers that the snapshot stands on, the bottom one first. Raises: NotFound."""

    def remove(self, key: str) -> None:
        """Take the snapshot away; quick, the space is freed by `purge_trash`. Raises: NotFound."""

    def purge_trash(self) -> None:
        """Delete what was removed. May take long; meant for a background thread."""

    def usage(self, key: str) -> Usage:
        """What the snapshot's own files take. Raises: NotFound."""

    def changes(self, key: str) -> list[Change]:
        """What differs from the image, sorted by path. Safe while the container runs. Raises: NotFound."""

    def write_diff(self, key: str, write: Callable[[bytes | memoryview], object]) -> None:
        """Write the changes as a layer's tar (OCI image-spec layer.md). Safe while the container runs.

        Raises: NotFound.
        """

    def written(self, key: str) -> str:
        """The directory that has the changes and nothing else, as an unpacked layer has them; it may be moved away.

        The container is over, and of the snapshot only `remove` is used afterwards. Raises: NotFound; OSError.
        """
