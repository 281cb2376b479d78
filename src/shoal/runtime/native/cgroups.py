"""Removes the control groups that dead supervisors and forgotten containers left. Blocking; called in a thread."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from shoal.errors import ShoalError
from shoal.linux.cgroups import Cgroup, Layout

_PATIENCE_S = 5.0
_PAUSE_S = 0.01


class CgroupSweeper:
    """Looks after the groups below `parent`, all of which are this daemon's."""

    def __init__(self, layout: Layout, parent: str) -> None:
        self._layout = layout
        self._parent = parent

    def remove_blanks_of(self, supervisor_pid: int) -> None:
        """Removes the groups of a dead supervisor's blank children, which died with it."""
        for name in self._names():
            if name.startswith(f"blank-{supervisor_pid}-"):
                self.end(f"{self._parent}/{name}")

    def remove_all_but(self, containers: set[str], supervisor_pids: set[int]) -> list[str]:
        """Ends what runs in groups that belong to no container and to no living supervisor; the groups' names."""
        ended = []
        for name in self._names():
            kind, _, rest = name.partition("-")
            is_blank = kind == "blank" and rest.partition("-")[0].isdigit()
            wanted = int(rest.partition("-")[0]) in supervisor_pids if is_blank else name in containers
            if not wanted:
                self.end(f"{self._parent}/{name}")
                ended.append(name)
        return ended

    def end(self, path: str) -> bool:
        """Kills everything in the group and removes it; False when it could not be within a few seconds."""
        group = self._layout.open(path)
        deadline = time.monotonic() + _PATIENCE_S
        # Any of them, not `exists`: a supervisor may have been killed in the midst of removing them.
        while any(os.path.isdir(directory) for directory in self._directories(group)):
            if time.monotonic() > deadline:
                return False
            with contextlib.suppress(ShoalError, OSError):  # the hierarchy that lists the processes may be gone
                group.kill(signal.SIGKILL)
            with contextlib.suppress(ShoalError, OSError):
                group.remove()
                continue
            # A killed process leaves its group only when it is scheduled once more.
            time.sleep(_PAUSE_S)
        return True

    def _directories(self, group: Cgroup) -> list[str]:
        unified = [self._layout.unified + group.path] if self._layout.unified is not None else []
        return [*group.directories(), *unified]

    def remove_parent(self) -> None:
        """Removes the parent group, if nothing is in it any more."""
        for root in self._roots():
            try:
                os.rmdir(root + self._parent)
            except OSError:
                pass  # containers run on, or it never was

    def _roots(self) -> list[str]:
        return [*self._layout.mounts, *([self._layout.unified] if self._layout.unified else [])]

    def _names(self) -> set[str]:
        names: set[str] = set()
        for root in self._roots():
            try:
                with os.scandir(root + self._parent) as entries:
                    names.update(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            except FileNotFoundError:
                pass  # no container ever ran in this hierarchy
        return names
