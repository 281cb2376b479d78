"""Directories for snapshots, made ahead of time.

Making an inode costs 0.3 ms on an ext4 without journal on which much was deleted in the last minutes (it looks for one
that was not), and a snapshot has three: too much for the path of a container's start. So a few are kept ready under
snapshots/.blanks; to take one is one rename. They are refilled when the trash is purged, in the background.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from shoal.image.scratch import Scratch

_READY = 8


class Blanks:
    """The blank directories under `root`, each made by `fill` from an empty one. Thread-safe."""

    def __init__(self, root: str, scratch: Scratch, fill: Callable[[str], None]) -> None:
        self._root = root
        self._scratch = scratch
        self._fill = fill
        self._refilling = threading.Lock()
        os.makedirs(root, mode=0o700, exist_ok=True)
        # Those of an earlier process are as good: they were renamed here when they were complete.
        self._ready = deque(os.path.join(root, name) for name in os.listdir(root))

    def take(self) -> str:
        """The path of a blank directory, which is the caller's now. Raises: OSError."""
        try:
            return self._ready.popleft()
        except IndexError:
            return self._make()

    def refill(self) -> None:
        """Make what is missing; where the disk is full, there are none, and `take` says so to who needs one."""
        with self._refilling:
            while len(self._ready) < _READY:
                try:
                    made = self._make()
                    target = os.path.join(self._root, os.path.basename(made))
                    os.rename(made, target)
                except OSError:
                    return
                self._ready.append(target)

    def _make(self) -> str:
        directory = self._scratch.fresh("blank")
        os.mkdir(directory, 0o700)
        try:
            self._fill(directory)
        except OSError:
            self._scratch.discard(directory)
            raise
        return directory
