"""The engine's one SQLite file: metadata of containers, images and endpoints.

Runs in shoald. WAL with synchronous=NORMAL: a killed process loses nothing that was committed; a power cut may lose the
last transactions, never the file. Each part of shoal owns the tables that are named after it, and makes them itself.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shoal.errors import Internal

_BUSY_TIMEOUT_S = 10.0


class Database:
    """Connections to the metadata file at `path`; one per thread that asks.

    Raises: Internal when the file is not a database, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = self.connect()

    def connect(self) -> sqlite3.Connection:
        """A new connection in autocommit mode, usable from any thread that serialises its calls.

        Raises: Internal when the file is not a database, or cannot be opened.
        """
        try:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
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

    def close(self) -> None:
        """Closes the engine's own connection."""
        self.connection.close()
