"""The merged view of stacked layer trees, as overlayfs would show it, without mounting.

Serves: what an implied directory of a layer inherits, what `docker diff` compares with, and the vfs snapshots.
The trees are unpacked layers: they don't change, and only shoal writes them, so that paths may be used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from shoal.image.whiteouts import is_opaque, is_whiteout


class MergedView:
    """Looks entries up in `trees`, the topmost first. Remembers directories: make one per task."""

    def __init__(self, trees: Sequence[str]) -> None:
        self._directories: dict[bytes, list[bytes]] = {b"": [os.fsencode(tree) for tree in trees]}

    def find(self, path: bytes) -> tuple[bytes, os.stat_result] | None:
        """The real path and lstat of what the view shows at `path` (relative, no `..`), or None."""
        if not path:
            top = self._directories[b""]
            return (top[0], os.lstat(top[0])) if top else None
        parent, _, name = path.rpartition(b"/")
        for directory in self.parts(parent):
            candidate = directory + b"/" + name
            try:
                status = os.lstat(candidate)
            except (FileNotFoundError, NotADirectoryError):
                continue
            return None if is_whiteout(candidate, status) else (candidate, status)
        return None

    def names(self, path: bytes) -> list[bytes]:
        """The sorted names that the view shows in the directory `path`."""
        seen: dict[bytes, bool] = {}
        for directory in self.parts(path):
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name not in seen:
                        seen[entry.name] = not is_whiteout(entry.path, entry.stat(follow_symlinks=False))
        return sorted(name for name, shown in seen.items() if shown)

    def parts(self, path: bytes) -> list[bytes]:
        """The real directories that merge into the directory `path`, the topmost first."""
        known = self._directories.get(path)
        if known is not None:
            return known
        # From the longest known ancestor down, not by recursion: a path may have 2,000 components.
        end = len(path)
        while (end := path.rfind(b"/", 0, end)) > 0 and path[:end] not in self._directories:
            pass
        stack = self._directories[path[: max(end, 0)]]
        while end < len(path):
            begin = end + 1
            end = path.find(b"/", begin)
            end = len(path) if end < 0 else end
            stack = self._directories[path[:end]] = _merging(stack, path[begin:end])
        return stack


def _merging(stack: list[bytes], name: bytes) -> list[bytes]:
    """Those of the entries `name` in the directories of `stack` that are directories and merge."""
    merging: list[bytes] = []
    for directory in stack:
        candidate = directory + b"/" + name
        try:
            status = os.lstat(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(status.st_mode):
            break  # a whiteout, or a file: either hides what lies below
        merging.append(candidate)
        if is_opaque(candidate):
            break
    return merging
