"""What a container has changed against its image (Docker API v1.50 ContainerChanges). Pure.

An engine needs places to mount a container's own files on. Where the image lacks them they are made in the writable
layer, but they are the engine's doing, not the container's: they are not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.image.snapshot.protocol import Change, ChangeKind

_MOUNT_POINTS = frozenset(
    (
        "/.dockerenv",
        "/dev",
        "/dev/console",
        "/dev/mqueue",
        "/dev/pts",
        "/dev/shm",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/proc",
        "/sys",
    )
)


def own_changes(changes: Sequence[Change]) -> list[Change]:
    """The changes without the mount points that the engine made, and without a directory that changed for them."""
    made = {change.path for change in changes if change.kind == ChangeKind.ADDED and change.path in _MOUNT_POINTS}
    if not made:
        return list(changes)
    rest = [change for change in changes if change.path not in made]
    for parent in {path.rpartition("/")[0] for path in made}:
        inside = f"{parent}/"
        if not any(change.path.startswith(inside) for change in rest):
            rest = [change for change in rest if change.path != parent or change.kind == ChangeKind.DELETED]
    return rest
