"""The database on a full disk."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from shoal.engine.database import Database
from shoal.errors import Internal


def _fill(database: Database) -> None:
    """Makes the database as full as a disk would: no page more than it has."""
    (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
    database.connection.execute(f"PRAGMA max_page_count={pages}")


def test_execute_disk_full_gives_up_the_reserve_then_tells(tmp_path: Path) -> None:
    """A change that finds no room gets the reserve's; when that is not enough, the disk is named as the reason."""
    database = Database(tmp_path / "shoal.db")
    database.connection.execute("CREATE TABLE t (x)")
    reserve = tmp_path / "shoal.reserve"
    assert reserve.stat().st_size == 1 << 20
    _fill(database)
    with pytest.raises(Internal) as caught:
        database.connection.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    assert caught.value.what == "no space left on device"
    assert not reserve.exists()
    database.connection.execute("PRAGMA max_page_count=10000")
    database.connection.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    database.reserve.take()
    assert reserve.exists()


def test_execute_other_error_is_sqlites_own(tmp_path: Path) -> None:
    """A mistake in a statement is not taken for a full disk."""
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "shoal.db").connection.execute("SELECT nothing")


def test_database_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no database is told by its name, with what to do."""
    path = tmp_path / "shoal.db"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 100)
    with pytest.raises(Internal) as caught:
        Database(path)
    assert caught.value.what == f"cannot open the database {str(path)!r}"


def test_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """It holds the environment of every container, and with it passwords; an older file is closed up, too."""
    path = tmp_path / "shoal.db"
    path.touch(0o644)
    os.chmod(path, 0o644)
    before = os.umask(0o022)
    try:
        database = Database(path)
        database.connection.execute("CREATE TABLE t (x)")
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert {name: mode for name, mode in modes.items() if not name.endswith(".reserve")} == {
        "shoal.db": 0o600,
        "shoal.db-shm": 0o600,
        "shoal.db-wal": 0o600,
    }
