"""The table of what steps came to, as far as a daemon needs it that has not built anything yet."""

from __future__ import annotations

import sqlite3

from shoal.oci.digest import Digest

SCHEMA = """
CREATE TABLE IF NOT EXISTS build_steps (
    key TEXT PRIMARY KEY,
    slot TEXT NOT NULL,                 -- which steps are the same one with other inputs
    kind TEXT NOT NULL,                 -- regular, source.local, exec.cachemount
    description TEXT NOT NULL,
    chain TEXT NOT NULL,                -- chainIDs, the bottom one first
    size_bytes INTEGER NOT NULL,
    inputs BLOB NOT NULL,
    created_ns INTEGER NOT NULL,
    used_ns INTEGER NOT NULL,
    uses INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS build_steps_slot ON build_steps (slot, created_ns);
"""


def cached_chains(connection: sqlite3.Connection) -> list[tuple[Digest, ...]]:
    """The layers of each row: the image store holds them from its start on, which discards what nobody holds."""
    connection.executescript(SCHEMA)
    return [parse_chain(chain) for (chain,) in connection.execute("SELECT chain FROM build_steps").fetchall()]


def parse_chain(text: str) -> tuple[Digest, ...]:
    """The chainIDs of a row."""
    return tuple(Digest(chain_id) for chain_id in text.split())
