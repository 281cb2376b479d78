"""Which changes are the container's own."""

from __future__ import annotations

from shoal.engine.container.changes import own_changes
from shoal.image.snapshot.protocol import Change, ChangeKind

A, C, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


def test_own_changes_leave_out_mount_points_that_the_engine_made() -> None:
    """An image without /etc and /proc gets them as places to mount on; nobody changed anything."""
    made = [Change("/dev", A), Change("/etc", A), Change("/etc/hosts", A), Change("/proc", A)]
    assert own_changes(made) == []


def test_own_changes_keep_what_the_container_did_beside_them() -> None:
    """A directory in which something else happened is shown."""
    found = [Change("/etc", C), Change("/etc/hostname", A), Change("/etc/new", A), Change("/gone", D)]
    assert own_changes(found) == [Change("/etc", C), Change("/etc/new", A), Change("/gone", D)]


def test_own_changes_keep_changes_of_files_that_the_image_has() -> None:
    """What the image has is not the engine's to hide."""
    found = [Change("/etc", C), Change("/etc/hosts", C)]
    assert own_changes(found) == found
