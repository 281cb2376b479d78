"""Trees of layers: that what is recorded while one is written is what a walk finds, and that files may be shared."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from shoal.build.cache import Inputs
from shoal.build.copying import Attributes, Item, Manifest, Source, place
from shoal.build.layer_writing import LayerWriting, SameFiles
from shoal.image.adoption import Described, describe
from shoal.image.recording import TreeRecord
from tests.unit.build.trees import MemoryFiles

_OWNER = (os.getuid(), os.getgid())
_LATEST_NS = 10**18
_FILES: Mapping[str, bytes | str | None] = {
    "a.txt": b"a",
    "a/below": b"1" * 700,
    "a/é" + "n" * 120: b"long",
    "a-b": b"",
    "big": bytes(300_000),
    "deep/" + "d/" * 60 + "file": b"x",
    "empty": None,
    "link": "a/below",
}


def items_of(files: MemoryFiles, destination: bytes = b"x") -> list[Item]:
    """A copy of all of `files`."""
    return list(place(files, [Source(b"", b"")], destination, into=True, attributes=Attributes(_OWNER)))


def written(
    directory: Path, items: list[Item], base: MemoryFiles, same: SameFiles | None = None
) -> tuple[Described | None, Described]:
    """What the record says of a tree of the items, and what a walk of it says."""
    directory.mkdir()
    record = TreeRecord(f"{directory}.skeleton")
    LayerWriting(str(directory), base, record, owner=_OWNER, latest_ns=_LATEST_NS, same=same).write(items)
    recorded = record.described()
    record.close()
    return recorded, describe(str(directory), io.BytesIO(), _LATEST_NS)


def test_record_is_what_a_walk_finds(tmp_path: Path) -> None:
    """Every kind of entry, long names, names that sort around a slash, and files above a piece."""
    recorded, walked = written(tmp_path / "tree", items_of(MemoryFiles(_FILES)), MemoryFiles({}))
    assert recorded == walked


def test_record_is_void_where_a_walk_would_find_something_else(tmp_path: Path) -> None:
    """A file that is replaced, entries out of order, and a directory that says nothing on top of the base."""
    first, second = MemoryFiles({"b": b"1"}), MemoryFiles({"a": b"2"})
    base = MemoryFiles({"known/x": b""})
    cases = {
        "replaced": items_of(first) + items_of(first),
        "unsorted": items_of(first) + items_of(second),
        "silent": items_of(MemoryFiles({}), b"known"),
    }
    for name, items in cases.items():
        assert written(tmp_path / name, items, base)[0] is None, name
    assert written(tmp_path / "filled", items_of(second, b"known"), base)[0] is not None


def test_same_files_become_links_and_give_the_same_layer(tmp_path: Path) -> None:
    """What the step has made before is shared with that layer; what has another content, mode or time is not."""
    before, now = MemoryFiles(_FILES), MemoryFiles({**_FILES, "a.txt": b"A", "new": b"n"})
    inputs = [Inputs({}, Manifest(items_of(files), _LATEST_NS).entries) for files in (before, now)]
    written(tmp_path / "old", items_of(before), MemoryFiles({}))
    same = SameFiles(str(tmp_path / "old"), *inputs)
    linked = written(tmp_path / "new", items_of(now), MemoryFiles({}), same)
    assert linked[0] == linked[1] == written(tmp_path / "whole", items_of(now), MemoryFiles({}))[1]
    links = {path: (tmp_path / "new/x" / path).stat().st_nlink for path in ("a.txt", "new", "big", "a/below")}
    assert links == {"a.txt": 1, "new": 1, "big": 2, "a/below": 2}
    other = Inputs({}, Manifest(items_of(MemoryFiles(_FILES, mode=0o600)), _LATEST_NS).entries)
    changed = SameFiles(str(tmp_path / "old"), inputs[0], other)
    assert changed.find(b"x/big") is None


def test_same_file_that_is_gone_is_written(tmp_path: Path) -> None:
    """A link that can't be made costs nothing but the link."""
    items = items_of(MemoryFiles(_FILES))
    inputs = Inputs({}, Manifest(items, _LATEST_NS).entries)
    recorded, walked = written(
        tmp_path / "tree", items, MemoryFiles({}), SameFiles(str(tmp_path / "nowhere"), inputs, inputs)
    )
    assert recorded == walked


@pytest.mark.parametrize("time_ns", [5, 2 * _LATEST_NS])
def test_times_are_recorded_as_they_are_set(tmp_path: Path, time_ns: int) -> None:
    """A time is the entry's own, or the latest that is allowed, in the tree and in the record."""
    items = [item._replace(entry=item.entry._replace(mtime_ns=time_ns)) for item in items_of(MemoryFiles(_FILES))]
    recorded, walked = written(tmp_path / "tree", items, MemoryFiles({}))
    assert recorded == walked
    assert (tmp_path / "tree/x/a.txt").stat().st_mtime_ns == min(time_ns, _LATEST_NS)
