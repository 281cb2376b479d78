"""Which snapshotter a machine gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import InvalidArgument
from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.image.snapshot.choice import open_snapshotter, why_no_overlay


def test_open_snapshotter_kernel_without_overlay_copies(tmp_path: Path) -> None:
    """Where the kernel doesn't know overlayfs, the reason is told and copies are the fallback."""
    (tmp_path / "filesystems").write_text("nodev\tproc\n\text4\n")
    filesystems = str(tmp_path / "filesystems")
    assert why_no_overlay(str(tmp_path), filesystems) == "the kernel does not know overlayfs: `modprobe overlay`"
    scratch = Scratch(str(tmp_path / "tmp"))
    layers = LayerStore(str(tmp_path / "layers"), scratch)
    root = str(tmp_path / "snapshots")
    assert open_snapshotter(root, layers, scratch, filesystems=filesystems).name == "vfs"


def test_open_snapshotter_unknown_driver_is_refused(tmp_path: Path) -> None:
    """A driver that shoal does not have is refused by name."""
    scratch = Scratch(str(tmp_path / "tmp"))
    layers = LayerStore(str(tmp_path / "layers"), scratch)
    with pytest.raises(InvalidArgument, match="driver not supported: zfs"):
        open_snapshotter(str(tmp_path / "snapshots"), layers, scratch, driver="zfs")
