"""Temporary directories and the trash, on the store's file system, so that to make and to remove is one rename.

Whatever lies here when shoald starts belongs to a process that was killed: it is trash.
"""

from __future__ import annotations

import itertools
import os
import threading

from shoal.image.trees import remove_tree


class Scratch:
    """The directory `root`, owned by one store: temporary names, and things on their way out. Thread-safe."""

    def __init__(self, root: str) -> None:
        self.path = root
        self._trash = os.path.join(root, "trash")
        self._counter = itertools.count()
        self._nonce = os.urandom(4).hex()
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        for name in os.listdir(root):
            if name != "trash":
                self.discard(os.path.join(root, name))

    def fresh(self, kind: str) -> str:
        """A path that nothing has; `kind` makes it readable."""
        return os.path.join(self.path, f"{kind}-{self._nonce}-{next(self._counter)}")

    def discard(self, path: str) -> None:
        """Take `path` out of sight at once; `purge` frees the space. Raises: OSError if it doesn't exist."""
        os.rename(path, os.path.join(self._trash, f"{self._nonce}-{next(self._counter)}"))

    def purge(self) -> None:
        """Delete what is in the trash. May take long; of several threads each takes what the others have not."""
        with self._lock:
            mine = set(os.listdir(self._trash)) - self._claimed
            self._claimed |= mine
        try:
            for name in mine:
                remove_tree(os.path.join(self._trash, name))
        finally:
            with self._lock:
                self._claimed -= mine
