"""Snapshot directories that are made ahead of time."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from shoal.image.snapshot.choice import why_no_overlay
from shoal.image.store import ImageStore
from shoal.oci.rootfs import OverlayRootfs
from tests.kernel.image.trees import directory, file, layer, leftovers, open_store

pytestmark = pytest.mark.root


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """A store that uses overlayfs, with two images whose roots differ."""
    if reason := why_no_overlay(str(tmp_path)):
        pytest.skip(reason)
    made = open_store(tmp_path / "data", "overlay2")
    for name, mode in (("plain", 0o755), ("odd", 0o711)):
        base = made.import_tar(io.BytesIO(layer(directory(".", mode=mode, uid=mode), file(name))))
        made.tag(base, name)
    return made


def blanks(tmp_path: Path) -> list[str]:
    """The directories that are ready."""
    return os.listdir(tmp_path / "data" / "snapshots" / ".blanks")


def test_blanks_are_used_and_look_like_each_image(store: ImageStore, tmp_path: Path) -> None:
    """A purge makes some ready; each snapshot gets the root of its own image, also when they are used up."""
    snapshots = store.snapshotter
    snapshots.purge_trash()
    ready = len(blanks(tmp_path))
    assert ready > 0
    for number in range(ready + 3):
        name, mode = (("plain", 0o755), ("odd", 0o711))[number % 2]
        rootfs = snapshots.prepare(f"k{number}", store.get(name).chain_ids)
        assert isinstance(rootfs, OverlayRootfs)
        status = os.stat(rootfs.upper)
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (mode, mode)
        assert os.listdir(rootfs.upper) == os.listdir(rootfs.work) == []
        assert len(blanks(tmp_path)) == max(0, ready - number - 1)
    snapshots.purge_trash()
    assert len(blanks(tmp_path)) == ready
    assert leftovers(tmp_path / "data") == []
    store.close()


def test_blanks_serve_the_next_process(store: ImageStore, tmp_path: Path) -> None:
    """What was ready stays ready over a restart, and snapshots know their layers again."""
    store.snapshotter.purge_trash()
    before = store.snapshotter.prepare("key", store.get("odd").chain_ids)
    ready = sorted(blanks(tmp_path))
    store.close()
    again = open_store(tmp_path / "data")
    assert sorted(blanks(tmp_path)) == ready
    assert again.snapshotter.rootfs("key") == before
    again.snapshotter.prepare("other", again.get("plain").chain_ids)
    assert len(blanks(tmp_path)) == len(ready) - 1
    again.close()
