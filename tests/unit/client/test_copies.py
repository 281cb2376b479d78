"""`shoal cp`: names on the way, and archives of a hostile container."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from shoal.client.copies.packing import pack
from shoal.client.copies.places import Arrival, Location, arrival, parse_location, split_entry
from shoal.client.copies.unpacking import unpack
from shoal.errors import InvalidArgument

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    ("word", "location"),
    [
        ("web:/etc", Location("web", "/etc")),
        ("/a:b", Location("", "/a:b")),
        ("./a:b", Location("", "./a:b")),
        ("file", Location("", "file")),
        ("-", Location("", "-")),
        ("web:", Location("web", "")),
        ("web:a:b", Location("web", "a:b")),
    ],
)
def test_parse_location_tells_containers_from_paths(word: str, location: Location) -> None:
    """A colon names a container, unless the word begins like a path."""
    assert parse_location(word) == location


@pytest.mark.parametrize(
    ("path", "entry"),
    [("/a/b", ("/a", "b")), ("/a/b/", ("/a", "b")), ("/a/b/.", ("/a/b", ".")), ("/", ("/", "/")), ("b", (".", "b"))],
)
def test_split_entry_keeps_what_a_dot_asks_for(path: str, entry: tuple[str, str]) -> None:
    """`/.` is an entry of its own."""
    assert split_entry(path) == entry


@pytest.mark.parametrize(
    ("arriving", "name", "renamed"),
    [
        (Arrival("/x", "a", "b"), "a/c", "b/c"),
        (Arrival("/x", ".", "new"), "./c", "new/c"),
        (Arrival("/x", "/", "new"), "/c", "new/c"),
        (Arrival("/x", "a", "a"), "a", "a"),
    ],
)
def test_arrival_renames_the_first_component(arriving: Arrival, name: str, renamed: str) -> None:
    """Only what the archive's names begin with changes."""
    assert arriving.renamed(name) == renamed


@pytest.mark.parametrize(
    ("is_directory", "target", "there", "sentence"),
    [(True, "/t", False, "cannot copy directory"), (False, "/t/", None, "no such directory")],
)
def test_arrival_refuses_changes_of_kind(is_directory: bool, target: str, there: bool | None, sentence: str) -> None:
    """A directory over a file, and a file as a directory that is not there."""
    with pytest.raises(InvalidArgument, match=sentence):
        arrival("/s", target, is_directory=is_directory, target_is_directory=there)


def make_tar(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, kind, link), files with one byte in them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, link, 0o755
            entry.size = 1 if kind == FILE else 0
            archive.addfile(entry, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "entries",
    [
        [("d/../../secret", FILE, "")],
        [("d/link", LINK, "../.."), ("d/link/secret", FILE, "")],
        [("d/link", LINK, "{outside}"), ("d/link/secret", FILE, "")],
        [("d/link", LINK, "{outside}/secret"), ("d/link", FILE, "")],
        [("d/hard", HARD, "../secret"), ("d/hard", FILE, "")],
        [("d/link", LINK, "{outside}"), ("d/hard", HARD, "d/link/secret")],
    ],
)
def test_unpack_never_leaves_its_target(tmp_path: Path, entries: list[tuple[str, bytes, str]]) -> None:
    """Whatever links a container puts into its archive, the user's other files stay as they are."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "target").mkdir()
    named = [(name, kind, link.replace("{outside}", str(tmp_path))) for name, kind, link in entries]
    try:
        unpack(iter([make_tar(("d", DIR, ""), *named)]), Arrival(str(tmp_path / "target"), "d", "d"))
    except InvalidArgument:
        pass  # refusing is fine as well
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "secret").stat().st_nlink == 1
    assert sorted(os.listdir(tmp_path)) == ["secret", "target"]


def test_pack_and_unpack_round_trip(tmp_path: Path) -> None:
    """Files, links, hard links, modes and times; more than a pipe holds; a name that is no UTF-8."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "big").write_bytes(os.urandom(700_001))
    os.link(source / "deep" / "big", source / "again")
    (source / "link").symlink_to("deep/big")
    odd = os.fsencode(source) + b"/\xff"
    Path(os.fsdecode(odd)).write_text("odd")
    (source / "deep").chmod(0o500)
    os.utime(source / "deep", (1_000_000_000, 1_000_000_000))
    arriving = arrival(str(source), str(tmp_path / "copy"), is_directory=True, target_is_directory=None)
    unpack(pack(str(source), arriving), Arrival(str(tmp_path), "copy", "copy"))
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == sorted(os.listdir(source))
    assert (copy / "deep" / "big").read_bytes() == (source / "deep" / "big").read_bytes()
    assert (copy / "again").stat().st_ino == (copy / "deep" / "big").stat().st_ino
    assert os.readlink(copy / "link") == "deep/big"
    assert (copy / "deep").stat().st_mtime == 1_000_000_000
    (source / "deep").chmod(0o700)
