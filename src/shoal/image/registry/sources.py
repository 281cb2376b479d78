"""Where layers and manifests came from, or went to: so that a push sends again what a registry has, byte for byte.

A layer is kept unpacked, not as it came compressed. Its blob's digest is known here for every repository that has it.
Tables image_blob_sources and image_manifests of the database. Nothing is lost with a row but time. Thread-safe.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS image_blob_sources (
    diff_id TEXT, repository TEXT, digest TEXT, size INTEGER NOT NULL, media_type TEXT NOT NULL,
    PRIMARY KEY (diff_id, repository, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS image_manifests (
    image TEXT, digest TEXT, media_type TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (image, digest)
) WITHOUT ROWID;
"""


class Source(NamedTuple):
    """A layer's blob as `repository` (domain and path) has it."""

    repository: str
    descriptor: Descriptor


class KeptManifest(NamedTuple):
    """A manifest that an image was pulled or pushed by."""

    digest: Digest
    media_type: str
    raw: bytes


class Sources:
    """What is known of registries' blobs and manifests."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._lock = threading.Lock()
        self._db = connect()
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def forget_all_but(self, images: Collection[str], diff_ids: Collection[str]) -> None:
        """Forget what is about images and layers that are gone: for start-up."""
        with self._lock:
            for table, column, known in (
                ("image_manifests", "image", images),
                ("image_blob_sources", "diff_id", diff_ids),
            ):
                rows = self._db.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
                gone = [(name,) for (name,) in rows if name not in known]
                if gone:
                    self._write(f"DELETE FROM {table} WHERE {column} = ?", gone)

    def note_blobs(self, repository: str, blobs: Iterable[tuple[Digest, Descriptor]]) -> None:
        """Remember that `repository` has these layers, by diffID."""
        rows = [(diff_id, repository, blob.digest, blob.size, blob.media_type) for diff_id, blob in blobs]
        with self._lock:
            self._write("INSERT OR REPLACE INTO image_blob_sources VALUES (?, ?, ?, ?, ?)", rows)

    def note_manifest(self, image: str, manifest: KeptManifest) -> None:
        """Remember the manifest of `image`."""
        row = (image, manifest.digest, manifest.media_type, manifest.raw)
        with self._lock:
            self._write("INSERT OR REPLACE INTO image_manifests VALUES (?, ?, ?, ?)", [row])

    def blobs(self, diff_id: Digest) -> list[Source]:
        """The blobs of a layer, wherever they are."""
        with self._lock:
            rows = self._db.execute(
                "SELECT repository, digest, size, media_type FROM image_blob_sources WHERE diff_id = ?"
                " ORDER BY repository, digest",
                (diff_id,),
            ).fetchall()
        return [Source(repository, Descriptor(kind, digest, size)) for repository, digest, size, kind in rows]

    def manifests(self, image: str) -> list[KeptManifest]:
        """The manifests of an image."""
        with self._lock:
            rows = self._db.execute(
                "SELECT digest, media_type, raw FROM image_manifests WHERE image = ? ORDER BY digest", (image,)
            ).fetchall()
        return [KeptManifest(Digest(digest), media_type, raw) for digest, media_type, raw in rows]

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """One transaction, begun by hand: the connection may be in autocommit mode. The caller holds the lock."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(statement, rows)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
