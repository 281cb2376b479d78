"""When images were last used: for the choice of those that go when all take too much. Table image_uses. Thread-safe."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection

_SCHEMA = "CREATE TABLE IF NOT EXISTS image_uses (image TEXT PRIMARY KEY, used_ns INTEGER NOT NULL) WITHOUT ROWID"


class ImageUses:
    """The last use of each image that has had one, as far as somebody took note."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._lock = threading.Lock()
        self._db = connect()
        self._db.execute(_SCHEMA)
        self._last: dict[str, int] = dict(self._db.execute("SELECT image, used_ns FROM image_uses").fetchall())

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def note(self, image: str, now_ns: int) -> None:
        """The image `image` is in use now, or was until now."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO image_uses VALUES (?, ?)", (image, now_ns))
            self._last[image] = now_ns

    def last_ns(self, image: str) -> int:
        """When it was used last; 0 if nobody has taken note."""
        return self._last.get(image, 0)

    def forget_all_but(self, images: Collection[str]) -> None:
        """Forget the images that are gone."""
        with self._lock:
            gone = [image for image in self._last if image not in images]
            self._db.executemany("DELETE FROM image_uses WHERE image = ?", [(image,) for image in gone])
            for image in gone:
                del self._last[image]
