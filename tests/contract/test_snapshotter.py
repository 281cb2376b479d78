"""What every snapshotter must do, for each implementation: prepare, describe, compare, archive, remove, survive.

The overlay is mounted in a mount namespace of the test's own.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.errors import Conflict, InvalidArgument, NotFound
from shoal.image.image import Deleted, Image, Untagged
from shoal.image.snapshot.choice import why_no_overlay
from shoal.image.snapshot.protocol import Change, ChangeKind
from shoal.image.store import ImageStore
from shoal.linux.mounts import MS_PRIVATE, MS_REC, mount
from shoal.linux.namespaces import CLONE_NEWNS, unshare
from shoal.linux.overlay import mount_overlay
from shoal.oci.digest import Digest, sha256_of
from shoal.oci.rootfs import OverlayRootfs
from tests.kernel.image.forked import run_forked
from tests.kernel.image.trees import EVERYTHING, describe, directory, file, layer, leftovers, open_store, symlink

pytestmark = pytest.mark.root

BASE = layer(
    directory("etc"),
    file("etc/passwd", b"root"),
    file("etc/gone", b"x"),
    directory("opt", mode=0o700, uid=5),
    file("opt/tool", b"tool"),
    directory("opt/sub"),
    file("opt/sub/x", b"x"),
    symlink("bin", "usr/bin"),
    directory("usr/bin"),
    *EVERYTHING,
)
TOP = layer(file("etc/.wh.gone"), file("etc/new", b"new"), directory("usr/share"), file("usr/share/doc", b"doc"))
KEY = "c0ffee"


class Case:
    """A store with a two-layer image, and a driver."""

    def __init__(self, root: Path, driver: str) -> None:
        self.root = root
        self.driver = driver
        self.store = open_store(root / "data", driver)
        self.store.import_tar(io.BytesIO(BASE), reference=None)
        base = self.store.images()[0]
        self.image: Image = self.store.get(self.store.add_layer(base.id, io.BytesIO(TOP), target="case"))
        self.snapshots = self.store.snapshotter

    def prepare(self) -> None:
        """A snapshot of the image."""
        self.snapshots.prepare(KEY, self.image.chain_ids)

    def reopen(self) -> ImageStore:
        """The store as the next process finds it."""
        self.store.close()
        self.store = open_store(self.root / "data", self.driver)
        self.snapshots = self.store.snapshotter
        return self.store

    def inside(self, task: Callable[[Path], None]) -> None:
        """Run `task` on the root file system of the snapshot, as a container would see it."""
        rootfs = self.snapshots.rootfs(KEY)
        if not isinstance(rootfs, OverlayRootfs):
            task(Path(rootfs.path))
            return
        target = self.root / "mounted"
        target.mkdir(exist_ok=True)

        def mounted() -> None:
            unshare(CLONE_NEWNS)
            mount("", "/", "", MS_REC | MS_PRIVATE)
            fd = os.open(target, os.O_PATH)
            options = ["redirect_dir=off", "metacopy=off"]
            mount_overlay(fd, lower=rootfs.lower, upper=rootfs.upper, work=rootfs.work, options=options)
            task(target)

        run_forked(mounted)

    def changes(self) -> list[Change]:
        """What differs from the image."""
        return self.snapshots.changes(KEY)


@pytest.fixture(params=["overlay2", "vfs"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A case for each driver."""
    if request.param == "overlay2" and (reason := why_no_overlay(str(tmp_path))):
        pytest.skip(reason)
    made = Case(tmp_path, request.param)
    yield made
    assert leftovers(tmp_path / "data") == []
    made.store.close()


def test_prepare_shows_the_merged_layers(case: Case) -> None:
    """The root file system holds both layers, with whiteouts applied and all attributes kept."""
    case.prepare()

    def look(root: Path) -> None:
        assert (root / "etc/passwd").read_bytes() == b"root"
        assert (root / "etc/new").read_bytes() == b"new"
        assert not (root / "etc/gone").exists()
        assert os.readlink(root / "bin") == "usr/bin"
        assert (root / "opt").stat().st_uid == 5
        seen = describe(root, "all")
        assert seen["all/plain"][:3] == ("-rw-r-----", (1000, 1001), 1700000000123456789)
        assert seen["all/same"][6] == "all/plain"
        assert "security.capability" in dict(seen["all/ping"][5])  # type: ignore[call-overload]
        assert seen["all"][2] == 1600000000 * 10**9 + 5

    case.inside(look)
    assert case.changes() == []


def test_prepare_has_mount_points_that_the_image_lacks(case: Case) -> None:
    """/dev, /proc, /sys and the files that are mounted over exist; what the image has there is the image's."""
    case.prepare()

    def look(root: Path) -> None:
        for name in ("dev", "proc", "sys"):
            assert (root / name).is_dir()
        for name in (".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"):
            assert (root / name).is_file()
        assert (root / "etc/passwd").is_file()

    case.inside(look)


def test_prepare_root_directory_looks_like_the_images(case: Case) -> None:
    """Mode and owner of the root are those of the image's root."""
    archive = layer(directory(".", mode=0o711, uid=3, gid=4), file("x"))
    image = case.store.get(case.store.import_tar(io.BytesIO(archive)))
    case.snapshots.prepare(KEY, image.chain_ids)

    def look(root: Path) -> None:
        status = root.stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o711, 3, 4)

    case.inside(look)


def test_prepare_existing_key_is_a_conflict(case: Case) -> None:
    """A key names one snapshot; the failed second attempt leaves the first alone."""
    case.prepare()
    case.inside(lambda root: (root / "mine").write_bytes(b"x") and None)
    with pytest.raises(Conflict, match=f"snapshot {KEY} already exists"):
        case.prepare()
    assert [change.path for change in case.changes()] == ["/mine"]


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", ".mountpoints", "a\n", "-x"])
def test_prepare_bad_key_is_refused(case: Case, key: str) -> None:
    """A key that is no plain file name can't reach another directory."""
    with pytest.raises(InvalidArgument):
        case.snapshots.prepare(key, case.image.chain_ids)


def test_prepare_missing_layer_is_not_found(case: Case) -> None:
    """Without its layers a snapshot can't be."""
    with pytest.raises(NotFound):
        case.snapshots.prepare(KEY, [*case.image.chain_ids, sha256_of(b"other")])
    assert case.snapshots.keys() == []


def test_missing_key_is_not_found(case: Case) -> None:
    """Every question about an unknown key has the same answer."""
    questions = (case.snapshots.rootfs, case.snapshots.remove, case.snapshots.usage, case.snapshots.changes)
    for question in questions:
        with pytest.raises(NotFound, match="snapshot nope does not exist"):
            question("nope")
    with pytest.raises(NotFound):
        case.snapshots.write_diff("nope", io.BytesIO().write)


def change_things(root: Path) -> None:
    """One of each: add, modify, delete, replace, chmod, rename."""
    (root / "new").mkdir()
    (root / "new/file").write_bytes(b"new")
    (root / "etc/passwd").write_bytes(b"root and me")
    (root / "etc/new").unlink()
    (root / "opt/sub/x").unlink()
    (root / "opt/sub").rmdir()
    (root / "opt/sub").mkdir()  # an opaque directory, with overlayfs
    (root / "opt/sub/y").write_bytes(b"y")
    (root / "all/plain").chmod(0o600)
    (root / "usr/share/doc").rename(root / "usr/share/doc2")
    os.setxattr(root / "all/empty", "user.mark", b"1")


def test_changes_tells_added_modified_deleted(case: Case) -> None:
    """`docker diff`: each change with its kind, and the directories in which something came or went."""
    case.prepare()
    case.inside(change_things)
    found = {change.path: change.kind for change in case.changes()}
    expected = {
        "/new": ChangeKind.ADDED,
        "/new/file": ChangeKind.ADDED,
        "/etc": ChangeKind.MODIFIED,
        "/etc/passwd": ChangeKind.MODIFIED,
        "/etc/new": ChangeKind.DELETED,
        "/opt": ChangeKind.MODIFIED,
        "/opt/sub": ChangeKind.MODIFIED,
        "/opt/sub/x": ChangeKind.DELETED,
        "/opt/sub/y": ChangeKind.ADDED,
        "/all/plain": ChangeKind.MODIFIED,
        "/all/empty": ChangeKind.MODIFIED,
        "/usr/share": ChangeKind.MODIFIED,
        "/usr/share/doc": ChangeKind.DELETED,
        "/usr/share/doc2": ChangeKind.ADDED,
    }
    # A hard link that was changed through one name is broken up by overlayfs, but not by a copy.
    found.pop("/all/same", None)
    assert found == expected
    assert [change.path for change in case.changes()] == sorted(change.path for change in case.changes())


def test_write_diff_as_a_layer_gives_the_same_tree(case: Case) -> None:
    """The changes, archived and put on top of the image as a layer, show what the snapshot shows."""
    case.prepare()
    case.inside(change_things)
    out = io.BytesIO()
    case.snapshots.write_diff(KEY, out.write)
    committed = case.store.get(case.store.add_layer(case.image.id, io.BytesIO(out.getvalue())))
    trees = []
    for key, image in ((KEY, None), ("again", committed)):
        if image is not None:
            case.snapshots.remove(KEY)
            case.snapshots.prepare(KEY, image.chain_ids)
        record = case.root / f"{key}.txt"
        case.inside(lambda root, record=record: record.write_text(repr(comparable(root))) and None)  # type: ignore[misc]
        trees.append(record.read_text())
    assert trees[0] == trees[1]
    case.snapshots.purge_trash()


def test_written_becomes_a_layer_that_gives_the_same_tree(case: Case) -> None:
    """What was written is a directory that, adopted as a layer on top of the image, shows what the snapshot shows."""
    case.prepare()
    case.inside(change_things)
    trees = [case.root / "before", case.root / "after"]
    case.inside(lambda root: trees[0].write_text(repr(comparable(root))) and None)  # type: ignore[func-returns-value]
    written = case.snapshots.written(KEY)
    layer = case.store.layer_store.adopt(written, case.image.chain_ids, latest_ns=2**62)
    assert layer is not None
    case.snapshots.remove(KEY)
    case.snapshots.prepare(KEY, (*case.image.chain_ids, Digest(layer.chain_id)))
    case.inside(lambda root: trees[1].write_text(repr(comparable(root))) and None)  # type: ignore[func-returns-value]
    assert trees[0].read_text() == trees[1].read_text()
    case.snapshots.purge_trash()


def comparable(root: Path) -> dict[str, tuple[object, ...]]:
    """The tree without what a diff does not carry: the root's own time."""
    found = describe(root)
    del found["."]
    return found


def test_usage_counts_the_snapshots_own_files(case: Case) -> None:
    """What is written counts, a hard link once."""
    case.prepare()
    before = case.snapshots.usage(KEY)
    case.inside(lambda root: (root / "big").write_bytes(b"x" * 100_000) and os.link(root / "big", root / "same"))
    after = case.snapshots.usage(KEY)
    assert (after.size_bytes - before.size_bytes, after.inodes - before.inodes) == (100_000, 1)


def test_two_snapshots_do_not_see_each_other(case: Case) -> None:
    """What one writes, the other and the image don't have."""
    case.prepare()
    case.snapshots.prepare("other", case.image.chain_ids)
    case.inside(lambda root: (root / "mine").write_bytes(b"x") and None)
    assert case.snapshots.changes("other") == []
    assert sorted(case.snapshots.keys()) == [KEY, "other"]


def test_remove_is_final_and_frees_the_space(case: Case) -> None:
    """A removed snapshot is gone at once, its files after the purge; however deep they are."""
    case.prepare()

    def dig(root: Path) -> None:
        os.chdir(root)
        for _ in range(600):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)

    case.inside(dig) if case.driver == "overlay2" else run_forked(lambda: case.inside(dig))
    assert len(case.changes()) == 600  # no path limit stops the look
    case.snapshots.remove(KEY)
    with pytest.raises(NotFound):
        case.snapshots.rootfs(KEY)
    case.prepare()
    assert case.changes() == []
    case.snapshots.purge_trash()
    assert leftovers(case.root / "data") == []


def test_snapshots_survive_a_restart(case: Case) -> None:
    """The next process finds the snapshot as it was, changes included."""
    case.prepare()
    case.inside(change_things)
    before = case.snapshots.rootfs(KEY), case.changes()
    case.reopen()
    assert case.snapshots.keys() == [KEY]
    assert (case.snapshots.rootfs(KEY), case.changes()) == before


def test_snapshots_decide_the_driver_of_the_next_process(case: Case) -> None:
    """Without a choice by the user, the driver that made the snapshots goes on serving them."""
    case.prepare()
    before = case.snapshots.rootfs(KEY)
    case.store.close()
    case.store = open_store(case.root / "data", None)
    assert case.store.snapshotter.name == case.driver
    assert case.store.snapshotter.rootfs(KEY) == before


def test_snapshot_keeps_its_layers_when_the_image_goes(case: Case) -> None:
    """The image of a stopped container may be removed by force; its layers go with the container, not before."""
    case.prepare()
    removed = case.store.remove("case", force=True)
    base = case.image.parent
    assert base is not None
    assert removed == [Untagged("case:latest"), Deleted(case.image.id), Deleted(base)]  # no layer among them
    case.reopen()
    case.inside(lambda root: (root / "etc/passwd").read_bytes() and None)
    assert case.changes() == []
    case.snapshots.remove(KEY)
    case.snapshots.purge_trash()
    assert os.listdir(case.root / "data" / "layers") == []
