"""The health of all containers: in memory to be quick, each change in the database, to survive shoald.

A row goes with its container's, in the same transaction.
"""

from __future__ import annotations

import sqlite3

import msgspec

from shoal.engine.health.record import HealthRecord

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS health"
    " (id TEXT PRIMARY KEY REFERENCES containers (id) ON DELETE CASCADE, record BLOB NOT NULL)"
)


class HealthStore:
    """Health records by the ids of their containers. The registry's table is there before."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.execute(_SCHEMA)
        self._encoder = msgspec.json.Encoder()
        decoder = msgspec.json.Decoder(HealthRecord)
        self._by_id = {id: decoder.decode(blob) for id, blob in self._db.execute("SELECT id, record FROM health")}

    def get(self, id: str) -> HealthRecord | None:
        """The health of a container; None when it has no check, or was never started."""
        return self._by_id.get(id)

    def begin(self, id: str) -> HealthRecord:
        """The health of a container that has just been started, to be saved by the caller."""
        record = self._by_id.setdefault(id, HealthRecord())
        record.begin()
        return record

    def save(self, id: str) -> None:
        """Writes the present health of a container. Raises: Internal when the disk is full."""
        self._db.execute(
            "INSERT INTO health (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (id, self._encoder.encode(self._by_id[id])),
        )

    def forget(self, id: str) -> None:
        """Drops the health of a container that is gone, and with it its row."""
        self._by_id.pop(id, None)
