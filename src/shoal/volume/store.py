"""The volumes of one daemon: a directory for each, and a row in the table `volume_volumes`.

    volumes/NAME/_data     the content
    tmp/volumes/           what is removed, until it is deleted

A kill at any moment leaves one of these, which `repair` sets right: a directory without a row, which is a creation that
was cut short if it is empty, and else taken up as a volume, for its content is somebody's; a row that is marked as
removed, whose removal is finished. A row without a directory stays: perhaps the disk is not mounted yet.

A volume that is made for a container notes its owner until the container is there: an anonymous one whose owner never
came to be, or is gone and wanted it removed, is swept when shoald starts.

Runs in shoald. Not thread-safe, but for `purge`; quick, but for `purge`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from shoal.errors import Internal, InvalidArgument, NotFound, Unsupported
from shoal.volume.content import STAGING_PREFIX
from shoal.volume.names import anonymous_name, check_name, is_name
from shoal.volume.options import Backing, backing_of

# What Docker marks a volume with that was given no name.
ANONYMOUS_LABEL = "com.docker.volume.anonymous"

# The owner of a volume that is being removed.
_REMOVED = "removed"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS volume_volumes (
    name TEXT PRIMARY KEY,
    record BLOB NOT NULL,
    owner TEXT NOT NULL DEFAULT ''
)
"""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume. `labels` and `options` are None where the request named none, as Docker shows them."""

    name: str
    created_ns: int
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody gave it a name."""
        return ANONYMOUS_LABEL in (self.labels or {})

    @property
    def backing(self) -> Backing:
        """What its content is."""
        return backing_of(self.options or {})


class VolumeStore:
    """The volumes under `root`; `scratch` is a directory on the same file system."""

    def __init__(self, root: Path, scratch: Path, connection: sqlite3.Connection) -> None:
        self._root = root
        self._scratch = scratch
        self._db = connection
        self._db.execute(_SCHEMA)
        decoder = msgspec.json.Decoder(Volume)
        rows = self._db.execute("SELECT name, record FROM volume_volumes")
        self._volumes: dict[str, Volume] = {name: decoder.decode(record) for name, record in rows}

    def __iter__(self) -> Iterator[Volume]:
        return iter(list(self._volumes.values()))

    def find(self, name: str) -> Volume | None:
        """The volume of that name."""
        return self._volumes.get(name)

    def get(self, name: str) -> Volume:
        """The volume of that name. Raises: NotFound in Docker's words."""
        volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume", fix="docker volume ls")
        return volume

    def mountpoint(self, name: str) -> str:
        """The directory with the volume's own content; empty for one that shows something else."""
        return str(self._root / name / "_data")

    def create(
        self,
        name: str,
        *,
        now_ns: int,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        owner: str = "",
    ) -> Volume:
        """A new volume; without a name it is anonymous. `owner` is the id of the container that it is made for.

        Raises: InvalidArgument (name, options), Unsupported (options), Internal (disk).
        """
        labels = dict(labels) if labels is not None else None
        if not name:
            name, labels = anonymous_name(), {**(labels or {}), ANONYMOUS_LABEL: ""}
        check_name(name)
        try:
            backing_of(options or {})
        except (InvalidArgument, Unsupported) as error:
            raise type(error)(f"create {name}: {error.what}", why=error.why, fix=error.fix) from error
        chosen = dict(options) if options is not None else None
        volume = Volume(name=name, created_ns=now_ns, labels=labels, options=chosen)
        directory = self._root / name
        try:
            self._root.mkdir(mode=0o711, exist_ok=True)
            directory.mkdir(mode=0o701)
            (directory / "_data").mkdir()
            (directory / "_data").chmod(0o755)  # for every user of a container, whatever our umask
            self._insert(volume, owner)
        except FileExistsError as cause:
            raise Internal(
                f"create {name}: there is a directory {directory} that is no volume", why=str(cause)
            ) from cause
        except OSError as cause:
            shutil.rmtree(directory, ignore_errors=True)
            raise Internal(f"create {name}: cannot make its directory", why=str(cause)) from cause
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)  # the database did not take it
            raise
        return volume

    def _insert(self, volume: Volume, owner: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO volume_volumes (name, record, owner) VALUES (?, ?, ?)",
            (volume.name, msgspec.json.encode(volume), owner),
        )
        self._volumes[volume.name] = volume

    def _delete_row(self, name: str) -> None:
        self._db.execute("DELETE FROM volume_volumes WHERE name = ?", (name,))
        self._volumes.pop(name, None)

    def disown(self, owner: str) -> None:
        """Notes that the container `owner` is there: its volumes are swept no more."""
        self._db.execute("UPDATE volume_volumes SET owner = '' WHERE owner = ?", (owner,))

    def own(self, names: Collection[str], owner: str) -> None:
        """Notes that these volumes go with the container `owner`, which is being removed."""
        self._db.executemany("UPDATE volume_volumes SET owner = ? WHERE name = ?", [(owner, name) for name in names])

    def remove(self, name: str) -> None:
        """Takes the volume away, at once and whole; `purge` frees its space. Raises: Internal (disk)."""
        self.own([name], _REMOVED)
        try:
            os.rename(self._root / name, self._scratch_path())
        except FileNotFoundError:
            pass  # somebody took the directory away: then the row is all there is
        except OSError as cause:
            raise Internal(f"remove {name}: cannot remove its directory", why=str(cause)) from cause
        self._delete_row(name)

    def _scratch_path(self) -> Path:
        """A new path below the scratch directory, which is there."""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._scratch / anonymous_name()

    def purge(self) -> None:
        """Deletes what was removed. May take long; thread-safe."""
        if self._scratch.is_dir():
            for entry in self._scratch.iterdir():
                shutil.rmtree(entry, ignore_errors=True)

    def repair(self, containers: Collection[str], now_ns: int) -> list[str]:
        """What was set right after a kill, as sentences; `containers` are the ids of those that there are."""
        notes = self._settle_owned(containers)
        for volume in self:
            if not (self._root / volume.name / "_data").is_dir():
                notes.append(f"volume {volume.name}: there is no directory {self.mountpoint(volume.name)}")
        for name in sorted(os.listdir(self._root)) if self._root.is_dir() else ():
            if not is_name(name):
                continue  # not ours: `lost+found`
            if name not in self._volumes:
                notes.append(self._settle(name, now_ns))
            for staging in (self._root / name).glob(f"{STAGING_PREFIX}*"):
                os.rename(staging, self._scratch_path())
                notes.append(f"volume {name}: removed a copy of an image's content that was cut short")
        return notes

    def _settle_owned(self, containers: Collection[str]) -> list[str]:
        """Finishes removals, and sweeps what was made for, or given up by, containers that there are not."""
        notes = []
        owned = self._db.execute("SELECT name, owner FROM volume_volumes WHERE owner != ''").fetchall()
        for name, owner in owned:
            if owner == _REMOVED:
                self.remove(name)
                notes.append(f"volume {name}: finished its removal")
            elif owner not in containers and self._volumes[name].is_anonymous:
                self.remove(name)
                notes.append(f"removed the anonymous volume of a container that was never finished, or is gone: {name}")
            else:
                self.disown(owner)
        return notes

    def _settle(self, name: str, now_ns: int) -> str:
        """Removes a directory without a row if there is nothing in it, else makes a volume of it."""
        directory = self._root / name
        data = directory / "_data"
        if data.is_dir() and any(data.iterdir()):
            self._insert(Volume(name=name, created_ns=now_ns), "")
            return f"volume {name}: taken up from its directory; its labels and options are lost"
        os.rename(directory, self._scratch_path())
        return f"removed the directory of a volume that was never finished: {name}"
