"""The volumes on disk and in the table, and what is made of both after a kill."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from shoal.errors import Internal, InvalidArgument, NotFound, ShoalError, Unsupported
from shoal.volume.content import STAGING_PREFIX
from shoal.volume.options import Backing, backing_of
from shoal.volume.store import VolumeStore


class Place:
    """A directory and a database that outlive the stores on them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(":memory:", isolation_level=None)

    def store(self) -> VolumeStore:
        """The store, as a daemon that starts sees it."""
        return VolumeStore(self.path / "volumes", self.path / "tmp", self.db)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


def test_create_is_kept_and_has_a_directory(place: Place) -> None:
    """A volume is there for the next daemon, with its labels and options, and empty."""
    made = place.store().create("data", now_ns=5, labels={"a": "b"}, options={})
    again = place.store().get("data")
    assert again == made
    assert (again.labels, again.options, again.is_anonymous) == ({"a": "b"}, {}, False)
    assert list(Path(place.store().mountpoint("data")).iterdir()) == []


def test_create_without_a_name_is_anonymous(place: Place) -> None:
    """64 hexadecimal digits, and Docker's label."""
    made = place.store().create("", now_ns=1, labels={"a": "b"})
    assert len(made.name) == 64
    assert int(made.name, 16)
    assert made.is_anonymous
    assert made.labels == {"a": "b", "com.docker.volume.anonymous": ""}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a", "create a: volume name is too short, names should be at least two alphanumeric characters"),
        ("a/b", 'create a/b: "a/b" includes invalid characters for a local volume name, only '),
        ("..", "includes invalid characters"),
        (".hidden", "includes invalid characters"),
        ("ab\n", "includes invalid characters"),
        ("n" * 256, "volume name is too long"),
    ],
)
def test_create_of_a_bad_name_is_refused(place: Place, name: str, sentence: str) -> None:
    """Docker's sentences; nothing is made, above all not outside the directory of volumes."""
    with pytest.raises(InvalidArgument) as caught:
        place.store().create(name, now_ns=1)
    assert sentence in str(caught.value)
    assert not (place.path / "volumes").exists()


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"foo": "1"}, InvalidArgument, 'invalid option: "foo"'),
        ({"type": "none"}, InvalidArgument, 'missing required option: "device"'),
        ({"o": "bind"}, InvalidArgument, 'missing required option: "device"'),
        ({"device": "/x"}, InvalidArgument, 'missing required option: "type"'),
        ({"type": "none", "o": "bind", "device": "x"}, InvalidArgument, "the device of a bind is an absolute path"),
        ({"type": "nfs", "o": "addr=h", "device": ":/x"}, Unsupported, "volumes of type 'nfs' are not served yet"),
    ],
)
def test_create_of_bad_options_is_refused(
    place: Place, options: dict[str, str], kind: type[ShoalError], sentence: str
) -> None:
    """What the driver does not know is an error, never a volume that is something else."""
    with pytest.raises(kind) as caught:
        place.store().create("data", now_ns=1, options=options)
    assert str(caught.value).startswith(f"create data: {sentence}") or sentence in str(caught.value)
    assert place.store().find("data") is None


def test_backing_tells_what_a_volume_shows() -> None:
    """Its own directory, another one, or memory."""
    assert backing_of({}) == Backing()
    bind = {"type": "none", "o": "bind,ro", "device": "/srv/../srv/data"}
    assert backing_of(bind) == Backing("bind", "/srv/data", read_only=True)
    assert backing_of({"type": "tmpfs", "o": "size=1m", "device": "tmpfs"}) == Backing("tmpfs", options="size=1m")


def test_remove_takes_directory_and_row(place: Place) -> None:
    """A removed volume is unknown at once; its files go with the purge."""
    store = place.store()
    store.create("data", now_ns=1)
    (Path(store.mountpoint("data")) / "file").write_text("x")
    store.remove("data")
    with pytest.raises(NotFound, match="get data: no such volume"):
        store.get("data")
    assert not (place.path / "volumes" / "data").exists()
    store.purge()
    assert list((place.path / "tmp").iterdir()) == []


@pytest.mark.parametrize("directory_is_gone", [False, True])
def test_repair_finishes_a_removal_that_was_cut_short(place: Place, *, directory_is_gone: bool) -> None:
    """Once it was decided, the volume goes, whether its directory went before the kill or not."""
    place.store().create("data", now_ns=1)
    place.store().own(["data"], "removed")
    if directory_is_gone:
        shutil.rmtree(place.path / "volumes" / "data")
    store = place.store()
    assert store.repair([], 1) == ["volume data: finished its removal"]
    assert store.find("data") is None
    assert list((place.path / "volumes").iterdir()) == []
    assert store.repair([], 1) == []


def test_repair_keeps_volumes_whose_disk_is_not_mounted(place: Place) -> None:
    """Labels and options are not thrown away because a directory is missing for now; it can be removed by hand."""
    place.store().create("data", now_ns=1, labels={"a": "b"})
    os.rename(place.path / "volumes", place.path / "elsewhere")
    store = place.store()
    assert len(store.repair([], 1)) == 1
    os.rename(place.path / "elsewhere", place.path / "volumes")
    assert place.store().repair([], 1) == []
    assert place.store().get("data").labels == {"a": "b"}
    shutil.rmtree(place.path / "volumes" / "data")
    place.store().remove("data")
    assert place.store().find("data") is None


def test_repair_leaves_what_no_volume_is_called(place: Place) -> None:
    """The directory of volumes may be a disk of its own, with its lost+found."""
    (place.path / "volumes" / "lost+found").mkdir(parents=True)
    assert place.store().repair([], 1) == []
    assert (place.path / "volumes" / "lost+found").exists()


def test_create_that_finds_no_room_leaves_nothing(place: Place) -> None:
    """Neither a row nor a directory; another one's directory is left alone."""
    store = place.store()
    place.db.execute("DROP TABLE volume_volumes")
    place.db.execute("CREATE TABLE volume_volumes (name TEXT)")
    with pytest.raises(sqlite3.Error):
        store.create("data", now_ns=1)
    assert store.find("data") is None
    assert list((place.path / "volumes").iterdir()) == []
    (place.path / "volumes" / "other").mkdir()
    with pytest.raises(Internal, match="that is no volume"):
        store.create("other", now_ns=1)
    assert (place.path / "volumes" / "other").exists()


def test_repair_takes_up_content_without_a_row(place: Place) -> None:
    """A lost database loses no data: directories with content are volumes again, empty ones go."""
    for name in ("full", "empty"):
        place.store().create(name, now_ns=1)
    (place.path / "volumes" / "full" / "_data" / "file").write_text("x")
    place.db = sqlite3.connect(":memory:", isolation_level=None)
    store = place.store()
    assert len(store.repair([], 7)) == 2
    assert [volume.name for volume in store] == ["full"]
    assert [volume.name for volume in place.store()] == ["full"]
    assert not (place.path / "volumes" / "empty").exists()


def test_repair_sweeps_anonymous_volumes_of_a_container_that_never_was(place: Place) -> None:
    """Named ones stay, and so do those of a container that is there, or that came to be."""
    store = place.store()
    lost = store.create("", now_ns=1, owner="never").name
    store.create("named", now_ns=1, owner="never")
    kept = store.create("", now_ns=1, owner="there").name
    done = store.create("", now_ns=1, owner="done").name
    store.disown("done")
    store = place.store()
    notes = store.repair(["there"], 1)
    assert len(notes) == 1
    assert lost in notes[0]
    assert {volume.name for volume in store} == {"named", kept, done}
    assert place.store().repair([], 1) == []


def test_repair_finishes_the_removal_of_given_up_volumes(place: Place) -> None:
    """`rm -v` that was killed between the container and its volumes: the volumes go at the next start."""
    store = place.store()
    name = store.create("", now_ns=1).name
    store.own([name], "gone")
    store = place.store()
    store.repair([], 1)
    assert store.find(name) is None


def test_repair_removes_half_a_copy(place: Place) -> None:
    """What a kill left of a copy from the image goes, and the volume is as empty as before."""
    store = place.store()
    store.create("data", now_ns=1)
    (place.path / "volumes" / "data" / f"{STAGING_PREFIX}1").mkdir()
    assert len(place.store().repair([], 1)) == 1
    assert [entry.name for entry in (place.path / "volumes" / "data").iterdir()] == ["_data"]
