"""Which boot of the machine the daemon's records speak of: after another one, their process ids mean nothing."""

from __future__ import annotations

import sqlite3

_SCHEMA = "CREATE TABLE IF NOT EXISTS engine_boot (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT NOT NULL)"


class Boots:
    """The boot that was noted last, and the present one."""

    def __init__(self, connection: sqlite3.Connection, boot_id: str) -> None:
        self._db = connection
        self._boot_id = boot_id
        self._db.execute(_SCHEMA)

    @property
    def is_another(self) -> bool:
        """Whether the machine was booted anew since `note`."""
        row = self._db.execute("SELECT boot FROM engine_boot").fetchone()
        return row is not None and row[0] != self._boot_id

    def note(self) -> None:
        """From here on, records speak of this boot: call it when none speaks of an earlier one any more."""
        self._db.execute("INSERT OR REPLACE INTO engine_boot (id, boot) VALUES (1, ?)", (self._boot_id,))
