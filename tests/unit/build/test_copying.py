"""What COPY brings where, and when two copies are the same."""

from __future__ import annotations

import pytest

from shoal.build.copying import Attributes, Manifest, Source, find_sources, place
from shoal.build.dockerfile.modes import parse_mode
from shoal.build.files import clean, leads_out, resolve
from shoal.errors import InvalidArgument
from tests.unit.build.trees import MemoryFiles

TREE = MemoryFiles({"a.txt": b"a", "d/b.txt": b"b", "d/e/c.txt": b"c", "link": "d", "out": "../../etc/passwd"})


def targets(path: str, destination: str, *, into: bool = False, parents: bool = False) -> list[str]:
    """Where the entries of a copy arrive."""
    found = find_sources(TREE, path, command="COPY", parents=parents)
    items = place(TREE, found, destination.encode(), into=into, attributes=Attributes(), parents=parents)
    return [item.target.decode() for item in items]


def test_copy_of_a_directory_brings_what_is_in_it() -> None:
    """A directory's content goes to the destination, in order, parents first."""
    assert targets("d", "x") == ["x", "x/b.txt", "x/e", "x/e/c.txt"]


def test_copy_of_a_file_goes_into_a_directory_or_gets_its_name() -> None:
    """A file is put into a directory, and is else called as the destination."""
    assert targets("a.txt", "x", into=True) == ["x/a.txt"]
    assert targets("a.txt", "x") == ["x"]


def test_copy_of_patterns_and_links() -> None:
    """Wildcards match component by component, and a link that is named is followed."""
    assert targets("*/*.txt", "x", into=True) == ["x/b.txt", "x/b.txt"]
    assert targets("link", "x") == ["x", "x/b.txt", "x/e", "x/e/c.txt"]


def test_copy_with_parents_keeps_directories() -> None:
    """`--parents` keeps the path, or what stands behind `/./`."""
    assert targets("d/e/c.txt", "x", parents=True) == ["x/d", "x/d/e", "x/d/e/c.txt"]
    assert targets("d/./e/c.txt", "x", parents=True) == ["x/e", "x/e/c.txt"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../x", "forbidden path outside the build context: ../x"),
        ("d/../../x", "forbidden path outside the build context"),
        ("nothing", "file not found in build context or excluded by .dockerignore: stat nothing"),
        ("out", "file not found in build context"),
    ],
)
def test_copy_refuses_what_is_not_in_the_context(path: str, sentence: str) -> None:
    """Neither `..` nor a link leads out of the context."""
    with pytest.raises(InvalidArgument) as problem:
        find_sources(TREE, path, command="COPY")
    assert sentence in str(problem.value)


def test_paths_stop_at_the_root() -> None:
    """Cleaning and resolving never lead above the root; a circle of links is refused."""
    assert clean("/a/../../b/./c") == b"b/c"
    assert leads_out("a/../..")
    assert not leads_out("/a/b/../c")
    assert resolve(TREE, b"link/../out") == b"etc/passwd"
    with pytest.raises(InvalidArgument):
        resolve(MemoryFiles({"a": "b", "b": "a"}), b"a/x")


def test_copy_of_a_pattern_that_matches_nothing_names_nothing() -> None:
    """Whether that is a mistake depends on the other sources of the instruction."""
    assert find_sources(TREE, "*.none", command="COPY") == []


def manifest(files: MemoryFiles, attributes: Attributes | None = None) -> Manifest:
    """What a copy of all of `files` is."""
    items = place(files, [Source(b"", b"")], b"x", into=True, attributes=attributes or Attributes())
    return Manifest(items)


def test_manifest_tells_what_makes_a_difference() -> None:
    """Content, mode, owner and link targets count; where the files come from does not."""
    one = manifest(MemoryFiles({"a": b"1", "l": "a"}))
    assert manifest(MemoryFiles({"a": b"1", "l": "a"})).digest == one.digest
    others = [
        manifest(MemoryFiles({"a": b"2", "l": "a"})),
        manifest(MemoryFiles({"a": b"1", "l": "b"})),
        manifest(MemoryFiles({"a": b"1", "l": "a"}, mode=0o755)),
        manifest(MemoryFiles({"a": b"1", "l": "a"}, uid=5)),
        manifest(MemoryFiles({"a": b"1", "l": "a", "b": b""})),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 6


def test_attributes_take_the_place_of_what_is_there() -> None:
    """`--chown` and `--chmod` make copies of different files the same."""
    owned = Attributes(owner=(7, 8), mode=parse_mode("0600"))
    one = manifest(MemoryFiles({"a": b"1"}, mode=0o755, uid=3), owned)
    assert one.digest == manifest(MemoryFiles({"a": b"1"}), owned).digest
    assert one.entries[b"x/a"].startswith("100600 7:8 ")
