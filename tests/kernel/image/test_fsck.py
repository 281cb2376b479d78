"""The check of the store: each kind of damage is found, told in a sentence, and mended where the bytes are there."""

from __future__ import annotations

import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.image.fsck import Checked, Finding
from shoal.image.store import ImageStore
from shoal.oci.digest import Digest, hex_of
from shoal.oci.reference import Reference
from tests.kernel.image.trees import (
    connect,
    describe,
    directory,
    file,
    hard_link,
    layer,
    leftovers,
    open_store,
    symlink,
)

pytestmark = pytest.mark.root

BASE = layer(directory("lib"), file("lib/old", b"o" * 10), directory("d"), file("d/below", b"b"))
TOP = layer(
    directory("bin", mode=0o751),
    file("bin/tool", b"t" * 3000, mode=0o4755),
    hard_link("bin/same", "bin/tool"),
    file("etc/conf", b"key", xattrs={b"user.note": b"1"}),  # its directory has no entry
    symlink("link", "bin/tool"),
    file("lib/.wh.old"),
    directory("d"),
    file("d/.wh..wh..opq"),
    file("empty"),
)
DOUBLE = layer(file("x", b"first"), file("x", b"second"))  # of which the tree alone can't give the archive back


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    """A store with an image of two layers, `two:1`, on one that has a name, too."""
    made = open_store(tmp_path / "data")
    made.import_tar(io.BytesIO(BASE), reference=Reference.parse("base:1"))
    made.add_layer("base:1", io.BytesIO(TOP), target="two:1")
    yield made
    made.close()
    assert leftovers(tmp_path / "data") == []


def tree(tmp_path: Path, store: ImageStore, name: str = "two:1") -> Path:
    """The files of an image's top layer."""
    return tmp_path / "data/layers" / hex_of(store.get(name).chain_ids[-1]) / "diff"


def check(store: ImageStore, *, repair: bool = False, busy: tuple[Digest, ...] = ()) -> list[Finding]:
    """What is found; asserts that all was looked at."""
    *steps, last = store.check(repair=repair, busy=busy)
    assert isinstance(last, Checked)
    return [step for step in steps if isinstance(step, Finding)]


def test_fsck_of_a_sound_store_finds_nothing(store: ImageStore, tmp_path: Path) -> None:
    """Links, marks of deletion, directories without an entry, a layer whose archive is kept: all as they should be."""
    store.import_tar(io.BytesIO(DOUBLE), reference=Reference.parse("double:1"))
    store.snapshotter.prepare("c1", store.get("two:1").chain_ids)
    before = [describe(tmp_path / "data" / part) for part in ("blobs", "layers", "snapshots")]
    assert list(store.check(repair=True, busy=()))[-1] == Checked(3, 3, 1, len(BASE) + len(TOP) + len(DOUBLE))
    assert [describe(tmp_path / "data" / part) for part in ("blobs", "layers", "snapshots")] == before


ALTERATIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "mode": (lambda root: (root / "bin/tool").chmod(0o755), "/bin/tool has mode 755 instead of 4755"),
    "directory": (lambda root: (root / "bin").chmod(0o700), "/bin has mode 700 instead of 751"),
    "owner": (lambda root: os.chown(root / "etc/conf", 7, 8), "/etc/conf belongs to 7:8 instead of 0:0"),
    "time": (lambda root: os.utime(root / "etc/conf", ns=(1, 1)), "/etc/conf has another time"),
    "xattr": (lambda root: os.setxattr(root / "etc/conf", "user.note", b"2"), "/etc/conf has other xattrs: user.note"),
    "link": (lambda root: _relink(root / "link"), "/link points elsewhere"),
    "extra": (lambda root: (root / "bin/evil").write_text("x"), "/bin/evil does not belong to it"),
    "whiteout": (lambda root: (root / "lib/old").unlink(), "/lib/old is no longer marked as deleted"),
    "opaque": (lambda root: os.removexattr(root / "d", "trusted.overlay.opaque"), "/d no longer hides what lies below"),
    "empty": (lambda root: (root / "empty").unlink(), "/empty is gone (No such file or directory)"),
    "kind": (lambda root: _to_fifo(root / "empty"), "/empty is of another kind"),
    "hard link": (lambda root: _unshared(root / "bin/same"), "/bin/same is no link any more"),
}


def _relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def _to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _unshared(path: Path) -> None:
    data, status = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(data)
    path.chmod(stat.S_IMODE(status.st_mode))


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_fsck_mends_a_layer_whose_bytes_are_there(store: ImageStore, tmp_path: Path, kind: str) -> None:
    """The sentence names the file; the mend makes the tree what it was, and a second look finds nothing."""
    root = tree(tmp_path, store)
    before = describe(root)
    alter, told = ALTERATIONS[kind]
    alter(root)
    (found,) = check(store)
    assert (found.cause, found.is_mended, found.hint) == ("layer-altered", False, "shoal fsck --repair")
    assert found.sentence.startswith(f"layer {hex_of(store.get('two:1').chain_ids[-1])[:12]} of two:1 was changed: ")
    assert told in found.sentence
    (mended,) = check(store, repair=True)
    assert mended.is_mended
    assert describe(root) == before
    assert check(store) == []


def test_fsck_leaves_a_layer_alone_that_a_running_container_sees(store: ImageStore, tmp_path: Path) -> None:
    """What to do is said."""
    (tree(tmp_path, store) / "empty").chmod(0o600)
    (found,) = check(store, repair=True, busy=store.get("two:1").chain_ids)
    assert not found.is_mended
    assert "stop the containers" in found.hint
    assert (tree(tmp_path, store) / "empty").stat().st_mode & 0o777 == 0o600
    check(store, repair=True)


LOSSES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "bin/tool").write_bytes(b"T" * 3000),
    "length": lambda root: os.truncate(root / "bin/tool", 7),
    "file": lambda root: (root / "etc/conf").unlink(),
    "whole": shutil.rmtree,
}


@pytest.mark.parametrize("kind", LOSSES)
def test_fsck_gives_up_images_whose_bytes_are_lost(store: ImageStore, tmp_path: Path, kind: str) -> None:
    """Only those that have the layer, only when asked to, and so that they can be had again."""
    LOSSES[kind](tree(tmp_path, store))
    (found,) = check(store)
    assert (found.cause, found.is_mended) == ("layer-lost", False)
    assert found.hint == "shoal fsck --repair, then pull or load again: two:1"
    assert len(store.images()) == 2
    (given_up,) = check(store, repair=True)
    assert given_up.sentence.endswith("; its images are removed")
    assert given_up.hint == "pull or load again: two:1"
    assert [image.repo_tags for image in store.images()] == [["base:1"]]
    store.add_layer("base:1", io.BytesIO(TOP), target="two:1")
    assert check(store) == []


def test_fsck_keeps_a_lost_layer_that_a_container_stands_on(store: ImageStore, tmp_path: Path) -> None:
    """The container comes first: its own data is worth more than a tidy store."""
    store.snapshotter.prepare("container-1", store.get("two:1").chain_ids)
    (tree(tmp_path, store) / "etc/conf").unlink()
    (found,) = check(store, repair=True)
    assert not found.is_mended
    assert "remove the containers on it (container-1)" in found.hint
    assert len(store.images()) == 2


def test_fsck_of_an_archive_that_is_kept_compares_the_files(store: ImageStore, tmp_path: Path) -> None:
    """The tree is held against the archive, and made anew from it."""
    store.import_tar(io.BytesIO(DOUBLE), reference=Reference.parse("double:1"))
    (tree(tmp_path, store, "double:1") / "x").write_bytes(b"third!")
    (found,) = check(store, repair=True)
    assert (found.cause, found.is_mended) == ("layer-altered", True)
    assert (tree(tmp_path, store, "double:1") / "x").read_bytes() == b"second"


def test_fsck_finds_a_damaged_configuration_and_garbage(store: ImageStore, tmp_path: Path) -> None:
    """Each has its sentence; with the repair the image is given up and the garbage deleted."""
    image_id = store.get("two:1").id
    (tmp_path / "data/blobs/sha256" / hex_of(image_id)).write_bytes(b"{}")
    (tmp_path / "data/blobs/sha256" / ("a" * 64)).write_bytes(b"nobody's")
    (tmp_path / "data/layers/stray").mkdir()
    assert [found.cause for found in check(store)] == ["configuration-damaged", "blob-unneeded", "directory-unneeded"]
    assert all(found.is_mended for found in check(store, repair=True))
    assert [image.repo_tags for image in store.images()] == [["base:1"]]
    assert check(store) == []


def test_fsck_finds_what_a_container_has_lost(store: ImageStore, tmp_path: Path) -> None:
    """Its own directory: what it had written is gone, and nothing brings it back."""
    store.snapshotter.prepare("c1", store.get("two:1").chain_ids)
    shutil.rmtree(tmp_path / "data/snapshots/c1/upper")
    (found,) = check(store)
    assert (found.cause, found.hint) == ("snapshot-damaged", "shoal rm c1")


def test_fsck_finds_rows_that_point_nowhere(store: ImageStore, tmp_path: Path) -> None:
    """The database is looked at by SQLite itself."""
    assert store.database_problems() == []
    database = connect(tmp_path / "data/db")
    database.execute("PRAGMA foreign_keys=OFF")
    database.execute("INSERT INTO image_names VALUES ('x:1', 'sha256:none', 1)")
    assert store.database_problems() == ["a row of image_names points to a row that is not in image_images"]
    database.execute("DELETE FROM image_names WHERE name = 'x:1'")
    database.close()


def test_renewal_that_was_killed_is_finished_at_the_start(tmp_path: Path) -> None:
    """Between taking the old tree away and putting the new one in its place, the layer is still one."""
    store = open_store(tmp_path / "data")
    store.import_tar(io.BytesIO(BASE), reference=Reference.parse("base:1"))
    root = tree(tmp_path, store, "base:1")
    before = describe(root)
    store.close()
    shutil.copytree(root, root.parent / "renewed", symlinks=True)
    for when in ("before", "after"):
        if when == "after":
            os.rename(root, root.parent / "renewed")
        store = open_store(tmp_path / "data")
        assert (describe(root).keys(), (root.parent / "renewed").exists()) == (before.keys(), False), when
        store.collect_garbage()
        store.close()
    assert leftovers(tmp_path / "data") == []
