"""The engine's one SQLite file: metadata of containers, images and endpoints.

Runs in shoald. WAL with synchronous=NORMAL: a killed process loses nothing that was committed; a power cut may lose the
last transactions, never the file. Each part of shoal owns the tables that are named after it, and makes them itself.

A container may fill the disk, and its end must be noted all the same. So a megabyte is kept in reserve beside the
database: when a change finds no room, the reserve is given up for it, and taken again once there is room.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from shoal.errors import Internal

_BUSY_TIMEOUT_S = 10.0
_RESERVE_BYTES = 1 << 20


class Reserve:
    """Disk space that is there for the database alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> None:
        """Takes the space, if there is enough; harmless when it is held already."""
        if self._path.exists() and self._path.stat().st_size == _RESERVE_BYTES:
            return
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:
            self._path.unlink(missing_ok=True)  # the disk is full: the next time, then

    def give_up(self) -> bool:
        """Frees the space; whether there was any."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True


class Connection(sqlite3.Connection):
    """A connection that finds room on a full disk, and tells a full disk by its name."""

    reserve: Reserve

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3. Raises: Internal when the disk is full and the reserve used up."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as cause:
            self._make_room(cause)
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as again:
                raise _full(again) from again

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """As sqlite3. Raises: Internal when the disk is full and the reserve used up."""
        rows = list(parameters)
        try:
            return super().executemany(sql, rows)
        except sqlite3.OperationalError as cause:
            self._make_room(cause)
            try:
                return super().executemany(sql, rows)
            except sqlite3.OperationalError as again:
                raise _full(again) from again

    def _make_room(self, cause: sqlite3.OperationalError) -> None:
        """Gives up the reserve. Raises: `cause` itself when it is of another kind; Internal when nothing is left."""
        if cause.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise cause
        if not self.reserve.give_up():
            raise _full(cause) from cause


def _full(cause: sqlite3.OperationalError) -> Internal:
    return Internal(
        "no space left on device", why=str(cause), fix="remove containers or images: docker rm, docker image prune"
    )


class Database:
    """Connections to the metadata file at `path`; one per thread that asks.

    Raises: Internal when the file is not a database, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reserve = Reserve(path.with_suffix(".reserve"))
        self.reserve.take()
        self.connection = self.connect()

    def connect(self) -> Connection:
        """A new connection in autocommit mode, usable from any thread that serialises its calls.

        Raises: Internal when the file is not a database, or cannot be opened.
        """
        self._close_up()
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
                factory=Connection,
            )
            connection.reserve = self.reserve
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
        except sqlite3.Error as cause:
            raise Internal(
                f"cannot open the database {str(self.path)!r}",
                why=str(cause),
                fix=f"move {self.path} away to start with an empty one; images must be loaded again",
            ) from cause
        return connection

    def _close_up(self) -> None:
        """Makes the file the owner's alone: containers' environments are in it. SQLite gives its mode to -wal, -shm."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            for path in (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm")):
                if path.exists():
                    path.chmod(0o600)
        except OSError:
            pass  # it cannot be opened: sqlite says why

    def close(self) -> None:
        """Closes the engine's own connection."""
        self.connection.close()
