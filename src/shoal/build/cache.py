"""What steps came to, by what went into them: a table of the daemon's database, a row a step.

A row is written in one transaction when its layer is in place, so that a killed shoald leaves a whole row or none.
A row holds its layers: they stay while it does. Used on the event loop.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shoal.build.cached_chains import SCHEMA, parse_chain
from shoal.build.ports import Layers
from shoal.errors import Internal
from shoal.oci.digest import Digest
from shoal.oci.packed import pack, unpack


@dataclass(frozen=True, slots=True)
class Inputs:
    """What decides about a step: its parts by name, and what the files that it copies are."""

    parts: Mapping[str, str]
    files: Mapping[bytes, str]

    @property
    def key(self) -> str:
        """The name of this very combination; the files are in `parts` by one digest."""
        text = json.dumps(sorted(self.parts.items()))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def packed(self) -> bytes:
        """For the database."""
        parts = json.dumps(dict(self.parts)).encode("utf-8", "surrogatepass")
        return pack((parts, dict(self.files)))

    @classmethod
    def unpacked(cls, data: bytes) -> Inputs:
        """Out of the database."""
        parts, files = unpack(data, tuple[bytes, dict[bytes, str]], "row of the build cache")
        return cls(json.loads(parts), files)


class Before(NamedTuple):
    """What a step was made of the last time, and the layers that it came to."""

    inputs: Inputs
    chain: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One step that was made."""

    key: str
    slot: str
    kind: str
    description: str
    chain: tuple[Digest, ...]
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int


_COLUMNS = "key, slot, kind, description, chain, size_bytes, created_ns, used_ns, uses"


class BuildCache:
    """The rows. `layers` holds what each of them needs, from the start on (`cached_chains`)."""

    def __init__(self, connection: sqlite3.Connection, layers: Layers) -> None:
        self._db = connection
        self._layers = layers
        self._db.executescript(SCHEMA)

    def rows(self) -> list[Row]:
        """All rows, those first that were not used for the longest time."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM build_steps ORDER BY used_ns").fetchall()
        return [_row(values) for values in found]

    def find(self, key: str, now_ns: int) -> Row | None:
        """The row, which is used now."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM build_steps WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        self._db.execute("UPDATE build_steps SET used_ns = ?, uses = uses + 1 WHERE key = ?", (now_ns, key))
        return _row(found)

    def add(
        self, inputs: Inputs, *, slot: str, kind: str, description: str, chain: Sequence[Digest], size: int, now_ns: int
    ) -> None:
        """Note what a step came to; its layers exist and are held by the caller. Raises: Internal for a full disk."""
        key = inputs.key
        known = self._db.execute("SELECT chain FROM build_steps WHERE key = ?", (key,)).fetchone()
        self._layers.hold(chain)
        values = (key, slot, kind, description, " ".join(chain), size, inputs.packed(), now_ns, now_ns, 0)
        try:
            self._db.execute("INSERT OR REPLACE INTO build_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        except BaseException:
            self._layers.release(chain)
            raise
        if known is not None:
            self._layers.release(parse_chain(known[0]))

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget these rows, and let their layers go."""
        for row in rows:
            self._db.execute("DELETE FROM build_steps WHERE key = ?", (row.key,))
            self._layers.release(row.chain)

    def before(self, slot: str) -> Before | None:
        """The step of this slot as it was made the last time."""
        found = self._db.execute(
            "SELECT inputs, chain FROM build_steps WHERE slot = ? ORDER BY created_ns DESC LIMIT 1", (slot,)
        ).fetchone()
        try:
            return Before(Inputs.unpacked(found[0]), parse_chain(found[1])) if found else None
        except Internal:
            return None  # of an older shoald


def differences(before: Inputs, now: Inputs) -> list[str]:
    """Which inputs of a step are not what they were, in words, sorted; the files one by one."""
    told: list[str] = []
    for name in sorted({*before.parts, *now.parts}):
        old, new = before.parts.get(name), now.parts.get(name)
        if old == new or name == "files":
            continue
        told.append(f"{name} was {old!r} and is {new!r}" if old and new and len(old + new) < 200 else f"{name} differs")
    for path in sorted({*before.files, *now.files}):
        old, new = before.files.get(path, ""), now.files.get(path, "")
        change = "is new" if not old else "is gone" if not new else _change(old, new)
        if change:
            told.append(f"/{path.decode(errors='surrogateescape')} {change}")
    return told


def _change(old: str, new: str) -> str:
    """What of a manifest's line (mode, owner, content, xattrs, and the time, which makes no difference) changed."""
    names = ("mode", "owner", "content", "extended attributes")
    changed = [name for name, was, now in zip(names, old.split(" "), new.split(" "), strict=False) if was != now]
    return f"has another {' and '.join(changed)}" if changed else ""


def _row(values: tuple[str, str, str, str, str, int, int, int, int]) -> Row:
    key, slot, kind, description, chain, size, created_ns, used_ns, uses = values
    return Row(key, slot, kind, description, parse_chain(chain), size, created_ns, used_ns, uses)
