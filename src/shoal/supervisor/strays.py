"""Collects processes that became children of a supervisor because their parents ended; runs in a supervisor.

That happens in containers that share a pid namespace: in one of their own, its first process inherits them. They are
found by looking, once a second while such a container is here, and when one has ended.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.procfs import children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from shoal.supervisor.loop import Loop

    class Family(Protocol):
        """Who knows the supervisor's own children."""

        def own_children(self) -> set[int]:
            """The pids that others wait for."""

        def may_have_strays(self) -> bool:
            """Whether a container without a pid namespace of its own is here."""


_INTERVAL_S = 1.0
_SOON_S = 0.02


class Strays:
    """Looks for strays while there may be any."""

    __slots__ = ("_family", "_looking", "_loop")

    def __init__(self, loop: Loop, family: Family) -> None:
        self._loop = loop
        self._family = family
        self._looking = False

    def look(self) -> None:
        """Begins to look, and goes on until nothing is left to be found."""
        if not self._looking:
            self._looking = True
            self._loop.call_later(_SOON_S, self._collect)

    def _collect(self) -> None:
        self._looking = False
        try:
            found = set(children(os.getpid())) - self._family.own_children()
        except SyscallError:
            found = set()
        left = [pid for pid in found if not _reaped(pid)]
        if left or self._family.may_have_strays():
            self._looking = True
            self._loop.call_later(_INTERVAL_S, self._collect)


def _reaped(pid: int) -> bool:
    """Whether the stray has ended and is collected now."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True
