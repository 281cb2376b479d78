"""Unpacking layers, good and hostile, into real directories."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shoal.errors import Internal, InvalidArgument
from shoal.image.entry_names import clean_name
from shoal.image.layer_notes import LayerNotes
from shoal.image.merged import MergedView
from shoal.image.tar.header import TarEntry
from shoal.image.tar.reader import TarReader
from shoal.image.trees import remove_tree
from shoal.image.unpack import Unpacked, Unpacker
from tests.kernel.image.trees import (
    EVERYTHING,
    NET_RAW,
    Part,
    describe,
    device,
    directory,
    file,
    hard_link,
    kept_archive,
    layer,
    symlink,
)

pytestmark = pytest.mark.root


class Unpacking:
    """One layer in a directory, beside things that a hostile one would like to reach."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path
        self.tree = tmp_path / "diff"
        self.tree.mkdir(mode=0o755)
        self.outside = tmp_path / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(b"secret")

    def unpack(self, *parts: Part, lower: tuple[Path, ...] = ()) -> Unpacked:
        """Unpack a layer of these entries."""
        return self.unpack_archive(layer(*parts), lower)

    def unpack_archive(self, archive: bytes, lower: tuple[Path, ...] = ()) -> Unpacked:
        """Unpack this archive."""
        with LayerNotes(str(self.directory)) as notes, Unpacker(str(self.tree), notes) as unpacker:
            unpacker.take(TarReader(iter([archive]), tap=notes.raw))
            unpacked = unpacker.complete(MergedView([str(path) for path in lower]))
            notes.close()
        return unpacked

    def archive(self) -> bytes:
        """The archive, from what was kept of it."""
        return kept_archive(self.directory)


@pytest.fixture
def unpacking(tmp_path: Path) -> Unpacking:
    """An empty tree."""
    return Unpacking(tmp_path)


def test_unpack_everything_has_the_archives_attributes(unpacking: Unpacking) -> None:
    """Files, links, devices and directories come with owner, mode, time to the ns, xattrs and capabilities."""
    unpacked = unpacking.unpack(*EVERYTHING)
    found = describe(unpacking.tree)
    assert found["all"][:3] == ("drwxr-x---", (10, 20), 1600000000 * 10**9 + 5)
    assert found["all/plain"][:3] == ("-rw-r-----", (1000, 1001), 1700000000123456789)
    assert found["all/set-uid"][0] == "-rwsr-xr-x"
    assert found["all/ping"][5] == {"security.capability": NET_RAW, "user.note": b"\0\n="}
    assert found["all/same"][6] == "all/plain"
    assert found["all/link"][4] == "/etc/passwd"
    assert (found["all/null"][0][0], found["all/null"][3]) == ("c", os.makedev(1, 3))
    assert found["all/pipe"][0][0] == "p"
    assert found["all/before"][2] == -5 * 10**9
    assert found["all/set-gid"][:2] == ("drwxrwsr-x", (0, 50))
    assert found["all/set-gid/inner"][1] == (0, 7)
    assert "all/\udcff\udcfe" in found
    assert unpacked.size_bytes == sum(entry.size for entry, _ in EVERYTHING)


def test_rebuild_gives_the_exact_archive(unpacking: Unpacking) -> None:
    """From the skeleton and the tree the archive comes back bit for bit, padding behind its end included."""
    archive = layer(*EVERYTHING) + bytes(8192)
    assert unpacking.unpack_archive(archive).is_rebuildable
    assert unpacking.archive() == archive
    assert (unpacking.directory / "skeleton").stat().st_size < 4000


def test_rebuild_missing_file_is_a_damaged_layer(unpacking: Unpacking) -> None:
    """A file that is gone from the tree is told, not replaced by nothing."""
    unpacking.unpack(file("a", b"data"))
    (unpacking.tree / "a").unlink()
    with pytest.raises(Internal, match="damaged layer"):
        unpacking.archive()


@pytest.mark.parametrize(
    "parts",
    [
        (file("a", b"1"), file("a", b"2")),
        (file("a/b", b"1"), symlink("a", "elsewhere")),
        (symlink("a", "b"), file("a/c", b"1")),
    ],
)
def test_unpack_archive_that_the_tree_cannot_give_back_is_kept(unpacking: Unpacking, parts: tuple[Part, ...]) -> None:
    """A path that occurs twice, or goes through a symlink, with more than a piece of data before and behind it."""
    archive = layer(file("before", os.urandom(300_000)), *parts, file("behind", os.urandom(1_100_000)))
    assert not unpacking.unpack_archive(archive).is_rebuildable
    assert unpacking.archive() == archive
    assert not (unpacking.directory / "skeleton").exists()


# -- hostile layers ---------------------------------------------------------------------------------------------------

ESCAPES: list[tuple[Part, ...]] = [
    (file("../outside/new", b"x"),),
    (file("a/../../outside/new", b"x"),),
    (directory("../outside/new"),),
    (hard_link("stolen", "../outside/secret"),),
    (symlink("up", ".."), hard_link("stolen", "up/outside/secret")),
    (symlink("up", "/"), hard_link("stolen", "up/nowhere")),
    (file("../.wh.outside"),),
    (file(".wh..."),),
    (file(".wh.."),),
    (file(".wh."),),
    (file("a", b"x"), file("a/b", b"x")),
    (device("dev", 1, 3), file("dev/x", b"x")),
    (symlink("loop", "loop"), file("loop/x", b"x")),
    (symlink("a", "b"), symlink("b", "a"), file("a/x", b"x")),
    (directory("d"), hard_link("e", "d")),
    (file("n" * 256, b"x"),),
    (file("/".join(["d" * 100] * 50), b"x"),),
    (file("x", uid=2**32 - 1),),
    (file("x", uid=2**40),),
    (symlink(".", "/"),),
]


@pytest.mark.parametrize("parts", ESCAPES)
def test_unpack_hostile_layer_is_refused(unpacking: Unpacking, parts: tuple[Part, ...]) -> None:
    """What leads out of the root, or makes no sense, is an invalid argument; nothing outside has changed."""
    before = describe(unpacking.outside)
    with pytest.raises(InvalidArgument):
        unpacking.unpack(*parts)
    assert describe(unpacking.outside) == before


CONTAINED: list[tuple[tuple[Part, ...], str]] = [
    ((file("/absolute", b"x"),), "absolute"),
    ((file("/../../above", b"x"),), "above"),
    ((file("a/../b", b"x"),), "b"),
    ((file("./././c", b"x"),), "c"),
    ((file("a//d", b"x"),), "a/d"),
    ((symlink("s", "../outside"), file("s/new", b"x")), "outside/new"),
    ((symlink("s", "../../../../outside"), file("s/secret", b"x")), "outside/secret"),
    ((symlink("s", "/outside"), directory("s/sub"), file("s/sub/new", b"x")), "outside/sub/new"),
    ((directory("real"), symlink("s", "real"), file("s/new", b"x")), "real/new"),
    ((symlink("t", "s"), symlink("s", "../outside"), file("t/new", b"x")), "outside/new"),
    ((directory("d"), file("d/f"), symlink("d", "../outside"), file("d/new", b"x")), "outside/new"),
    ((symlink("f", "../outside/secret"), file("f", b"x")), "f"),
    ((symlink("d", "../outside"), directory("d", mode=0o700), file("d/new", b"x")), "d/new"),
]


@pytest.mark.parametrize(("parts", "place"), CONTAINED)
def test_unpack_tricks_stay_inside_the_root(unpacking: Unpacking, parts: tuple[Part, ...], place: str) -> None:
    """Absolute names, dots and symlinks lead to a place inside the root, as they do in Docker."""
    before = describe(unpacking.outside)
    unpacking.unpack(*parts)
    assert (unpacking.tree / place).read_bytes() == b"x"
    assert describe(unpacking.outside) == before


def test_unpack_forged_overlay_xattrs_are_dropped(unpacking: Unpacking) -> None:
    """A layer can't tell overlayfs, by its private xattrs, to look elsewhere."""
    forged = {b"trusted.overlay.redirect": b"/etc", b"trusted.overlay.opaque": b"y", b"user.overlay.metacopy": b""}
    unpacking.unpack(directory("d", xattrs=forged), file("f", b"x", xattrs=forged), file("e/f", b"x"))
    for name in ("d", "f", "e"):
        assert not [xattr for xattr in os.listxattr(unpacking.tree / name) if "overlay" in xattr]


def test_unpack_long_zeros_become_holes(unpacking: Unpacking) -> None:
    """A file that is mostly zeros takes no room for them, has every byte, and the archive can still be rebuilt."""
    data = b"begin" + bytes(3 << 20) + b"middle" + bytes(2 << 20)
    archive = layer(file("sparse", data), file("after", b"x"))
    assert unpacking.unpack_archive(archive).is_rebuildable
    sparse = unpacking.tree / "sparse"
    assert sparse.read_bytes() == data
    assert sparse.stat().st_blocks * 512 < len(data) // 4
    assert unpacking.archive() == archive


@pytest.mark.parametrize("cut", [10, 512, 1000, 1600])
def test_unpack_truncated_layer_is_unexpected_eof(unpacking: Unpacking, cut: int) -> None:
    """A layer that ends early is an error."""
    with pytest.raises(InvalidArgument, match="unexpected EOF"):
        unpacking.unpack_archive(layer(file("a", b"x" * 600), file("b", b"x" * 600))[:cut])


def test_unpack_very_deep_path_works(unpacking: Unpacking) -> None:
    """A path of 1,900 components, near what the kernel takes, needs neither recursion nor descriptors."""
    path = "/".join("d" * 1900)
    try:
        unpacking.unpack(file(path, b"deep"))
        assert (unpacking.tree / path).read_bytes() == b"deep"
    finally:
        remove_tree(str(unpacking.tree))  # pytest's own clean-up can't
    assert not unpacking.tree.exists()


# -- whiteouts and directories ----------------------------------------------------------------------------------------


def is_whiteout(path: Path) -> bool:
    """Whether the path is what overlayfs takes for a deletion."""
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    """Whether overlayfs takes the directory for opaque."""
    return "trusted.overlay.opaque" in os.listxattr(path)


def test_unpack_whiteouts_become_overlays(unpacking: Unpacking) -> None:
    """`.wh.name` is a device 0/0, `.wh..wh..opq` an xattr; AUFS's own files leave nothing."""
    unpacking.unpack(
        file("d/.wh.gone"), directory("o"), file("o/.wh..wh..opq"), file(".wh..wh.plnk", b"x"), file(".wh..wh.orph")
    )
    assert is_whiteout(unpacking.tree / "d/gone")
    assert is_opaque(unpacking.tree / "o")
    assert sorted(os.listdir(unpacking.tree)) == ["d", "o"]


def test_unpack_whiteout_does_not_hide_its_own_layers_entry(unpacking: Unpacking) -> None:
    """A whiteout is about lower layers: what the layer itself brings under that name stays, in either order."""
    unpacking.unpack(
        file("a", b"x"), file(".wh.a"),
        file(".wh.b"), file("b", b"x"),
        directory("c"), file("c/in", b"x"), file(".wh.c"),
        file(".wh.d"), file("d/in", b"x"),
    )  # fmt: skip
    for name in ("a", "b", "c/in", "d/in"):
        assert (unpacking.tree / name).read_bytes() == b"x"
    assert is_opaque(unpacking.tree / "c")
    assert is_opaque(unpacking.tree / "d")


def test_unpack_implied_directory_inherits_from_below(unpacking: Unpacking, tmp_path: Path) -> None:
    """A directory that only the names imply has the lower layer's owner, mode and time, else root's and 0755."""
    lower = tmp_path / "lower"
    (lower / "var" / "lib").mkdir(parents=True)
    os.chown(lower / "var", 5, 6)
    (lower / "var").chmod(0o1770)
    os.utime(lower / "var", ns=(7, 8))
    unpacking.unpack(file("var/lib/x", b"x"), file("new/x", b"x"), lower=(lower,))
    found = describe(unpacking.tree)
    assert found["var"][:3] == ("drwxrwx--T", (5, 6), 8)
    assert found["new"][:2] == ("drwxr-xr-x", (0, 0))


def test_unpack_root_entry_sets_the_roots_attributes(unpacking: Unpacking) -> None:
    """`./` is the root itself."""
    unpacking.unpack(directory("."), (TarEntry(b"./", b"5", mode=0o1711, uid=3), b""))
    assert (stat.S_IMODE(unpacking.tree.stat().st_mode), unpacking.tree.stat().st_uid) == (0o1711, 3)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [(b"a/b/", b"a/b"), (b"./", b""), (b"/", b""), (b"/..", b""), (b"a/.", b"a"), (b"a/b/..", b"a"), (b"./.a", b".a")],
)
def test_clean_name_is_relative_and_lexically_clean(name: bytes, cleaned: bytes) -> None:
    """Dots, doubled and outer slashes are gone."""
    assert clean_name(name) == cleaned
