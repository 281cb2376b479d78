"""Unpacking against chance: layers of random tricks, and the same trees through GNU tar."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.image.layer_notes import LayerNotes
from shoal.image.merged import MergedView
from shoal.image.snapshot.diff import LayerWriter
from shoal.image.tar.reader import TarReader
from shoal.image.trees import open_directory, walk_tree
from shoal.image.unpack import Unpacked, Unpacker
from tests.kernel.image.trees import (
    EVERYTHING,
    Part,
    describe,
    device,
    directory,
    fifo,
    file,
    hard_link,
    kept_archive,
    layer,
    symlink,
)

pytestmark = pytest.mark.root

# Few names, so that entries meet: replace each other, go through each other's symlinks, link to each other.
_component = st.sampled_from(["a", "b", "c", "..", ".", "", ".wh.a", ".wh..wh..opq", "outside"])
_path = st.lists(_component, min_size=1, max_size=4).map("/".join)


@st.composite
def tricks(draw: st.DrawFn) -> Part:
    """An entry that may try anything."""
    name = draw(_path)
    kind = draw(st.sampled_from(["file", "directory", "symlink", "hard link", "device", "fifo"]))
    match kind:
        case "file":
            return file(name, draw(st.binary(max_size=20)))
        case "directory":
            return directory(name, mode=draw(st.sampled_from([0o700, 0o2777])))
        case "symlink":
            return symlink(name, draw(_path) or ".")
        case "hard link":
            return hard_link(name, draw(_path))
        case "device":
            return device(name, 1, 3)
    return fifo(name)


def unpack(place: Path, archive: bytes) -> Unpacked:
    """Unpack `archive` as a layer in `place`."""
    tree = place / "diff"
    tree.mkdir(parents=True)
    with LayerNotes(str(place)) as notes, Unpacker(str(tree), notes) as unpacker:
        unpacker.take(TarReader(iter([archive]), tap=notes.raw))
        unpacked = unpacker.complete(MergedView([]))
        notes.close()
    return unpacked


@settings(max_examples=300)
@given(parts=st.lists(tricks(), min_size=1, max_size=8))
def test_unpack_any_layer_stays_inside_and_is_rebuilt(parts: list[Part]) -> None:
    """No combination of entries touches what lies outside; what is unpacked gives its archive back exactly."""
    archive = layer(*parts)
    with tempfile.TemporaryDirectory() as scratch:
        place, outside = Path(scratch, "layer"), Path(scratch, "layer/outside")
        outside.mkdir(parents=True)
        (outside / "a").write_bytes(b"secret")
        before = describe(outside)
        descriptors = len(os.listdir("/proc/self/fd"))
        try:
            unpack(place, archive)
            is_unpacked = True
        except InvalidArgument:
            is_unpacked = False
        assert describe(outside) == before
        assert os.listdir(scratch) == ["layer"]
        assert set(os.listdir(place)) <= {"archive", "diff", "outside", "skeleton"}
        assert len(os.listdir("/proc/self/fd")) == descriptors
        if is_unpacked:
            assert kept_archive(place) == archive


def without_tars_limits(found: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """A description without the root, whose attributes the archives here don't carry."""
    return {name: facts for name, facts in found.items() if name != "."}


@pytest.mark.parametrize("options", [["--format=pax"], ["--format=pax", "--sparse"]])
def test_unpack_gnu_tars_archive_gives_the_same_tree(tmp_path: Path, options: list[str]) -> None:
    """A tree with everything in it, archived by GNU tar with xattrs, comes out the same."""
    one, two = tmp_path / "one/diff", tmp_path / "two/diff"
    unpack(one.parent, layer(*EVERYTHING))
    with open(one / "holes", "wb") as holes:
        holes.seek(1 << 20)
        holes.write(b"end")
    command = ["tar", *options, "--xattrs", "--xattrs-include=*", "-C", str(one), "-cf", "-", "."]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    unpacked = unpack(two.parent, archive)
    assert without_tars_limits(describe(two)) == without_tars_limits(describe(one))
    assert unpacked.is_rebuildable is ("--sparse" not in options)
    assert kept_archive(two.parent) == archive


def test_layer_writers_archive_unpacked_by_gnu_tar_is_the_same_tree(tmp_path: Path) -> None:
    """What a diff writes, GNU tar unpacks to the same tree: links, devices, times, xattrs, capabilities."""
    one, two = tmp_path / "one/diff", tmp_path / "two"
    two.mkdir()
    unpack(one.parent, layer(*EVERYTHING))
    out = io.BytesIO()
    writer = LayerWriter(out.write)
    root_fd = open_directory(str(one))
    for item in walk_tree(root_fd):
        writer.add(item.path, item.parent_fd, item.name)
    os.close(root_fd)
    writer.close()
    command = ["tar", "--xattrs", "--xattrs-include=*", "-C", str(two), "-xpf", "-"]
    subprocess.run(command, check=True, input=out.getvalue())
    assert without_tars_limits(describe(two)) == without_tars_limits(describe(one))
