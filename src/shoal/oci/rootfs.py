"""Where a container's root file system comes from: pure data, shared by the image store and the runtime.

The snapshotter produces one, the runtime compiles it into the plan's first mount, and the container's own
mount namespace is the only place where it is ever mounted. Both kinds are tagged, so that a record of a
container can hold either and be read back.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class OverlayRootfs(msgspec.Struct, frozen=True, tag_field="kind", tag="overlay"):
    """An overlay: read-only `lower` directories, the top one first, and the container's writable layer."""

    lower: tuple[str, ...]
    upper: str
    work: str


class PlainRootfs(msgspec.Struct, frozen=True, tag_field="kind", tag="plain"):
    """One directory that is the whole root file system (the `vfs` snapshotter, an unpacked bundle)."""

    path: str


Rootfs: TypeAlias = OverlayRootfs | PlainRootfs
