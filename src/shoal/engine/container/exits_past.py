"""How containers ended that are gone by now: of a container run with --rm nothing else would be left to ask.

Kept of those alone whose end was nobody's wish, and of the last hundred of them: an ordinary removal costs nothing.
"""

from __future__ import annotations

import sqlite3

import msgspec

from shoal.engine.container.exits import Cause, ExitRecord
from shoal.engine.container.record import ContainerRecord

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS past_exits"
    " (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, exits BLOB NOT NULL)"
)
_KEPT = 100
_UNWANTED: frozenset[Cause] = frozenset({"oom", "crash", "signal", "unhealthy", "stop-timeout", "unknown", "reboot"})


class PastContainer(msgspec.Struct, frozen=True):
    """A container that is gone, and the ends of its runs, the oldest first."""

    id: str
    name: str
    exits: list[ExitRecord]


class PastExits:
    """The ends of removed containers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.execute(_SCHEMA)
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(list[ExitRecord])

    def keep(self, record: ContainerRecord) -> None:
        """Keeps how the container ended, if that was nobody's wish: it is about to be removed."""
        if not record.exits or record.exits[-1].cause not in _UNWANTED:
            return
        cursor = self._db.execute(
            "INSERT OR REPLACE INTO past_exits (id, name, exits) VALUES (?, ?, ?)",
            (record.id, record.name, self._encoder.encode(record.exits)),
        )
        self._db.execute("DELETE FROM past_exits WHERE number <= ?", ((cursor.lastrowid or 0) - _KEPT,))

    def find(self, reference: str) -> PastContainer | None:
        """The container that was removed last of those with this id, name, or beginning of an id."""
        if not reference:
            return None
        row = self._db.execute(
            "SELECT id, name, exits FROM past_exits WHERE id = ? OR name = ? OR substr(id, 1, ?) = ?"
            " ORDER BY number DESC LIMIT 1",
            (reference, reference.removeprefix("/"), len(reference), reference),
        ).fetchone()
        return None if row is None else PastContainer(row[0], row[1], self._decoder.decode(row[2]))
