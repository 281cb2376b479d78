"""Which supervisor gets a container, and when supervisors come and go. Runs on shoald's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS
from shoal.runtime.native.supervisors import Spawner, Supervisor, configure

if TYPE_CHECKING:
    from shoal.supervisor.protocol import Body

# The namespaces of a container with Docker's defaults: what blanks are cloned with.
DEFAULT_CLONE_FLAGS = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS

_SHUTDOWN_TIMEOUT_S = 5.0
# How often it is tried to start one: a supervisor may be killed at any moment, its first included.
_STARTS = 4


class SupervisorPool:
    """The connected supervisors. One with room is always kept once the first has come up."""

    def __init__(
        self,
        root: Path,
        cgroup_parent: str,
        per_supervisor: int,
        blanks: int,
        on_event: Callable[[Supervisor, str, Body], None],
        on_lost: Callable[[Supervisor], None],
    ) -> None:
        self.spawner = Spawner(root)
        self._settings: Body = {
            "blanks": blanks,
            "capacity": per_supervisor,
            "blank_flags": DEFAULT_CLONE_FLAGS,
            "cgroup_parent": cgroup_parent,
        }
        self._per_supervisor = per_supervisor
        self._on_event = on_event
        self._on_lost = on_lost
        self._supervisors: list[Supervisor] = []
        self._growing = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Supervisor]:
        return iter(tuple(self._supervisors))

    async def with_room(self, id: str) -> Supervisor:
        """A supervisor in which a place is taken for the container `id`. Raises: Internal when none comes up."""
        supervisor = self._vacant()
        if supervisor is None:
            async with self._growing:
                supervisor = self._vacant() or await self._grow()
        supervisor.containers.add(id)
        return supervisor

    async def ensure_one(self) -> None:
        """Makes sure that the next start need not wait for a supervisor. Raises: Internal."""
        async with self._growing:
            if self._vacant() is None:
                await self._grow()

    def give_back(self, supervisor: Supervisor, id: str) -> None:
        """The container's place is free again; a supervisor that is empty and not needed ends."""
        supervisor.containers.discard(id)
        if supervisor.containers or supervisor not in self._supervisors:
            return
        if any(self._has_room(other) for other in self if other is not supervisor):
            self._supervisors.remove(supervisor)
            task = asyncio.ensure_future(self._retire(supervisor))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def take_up(self, supervisor: Supervisor) -> None:
        """Connects to a supervisor that lives already. Raises: OSError when it does not; ShoalError."""
        supervisor.connect(self._on_event, self._on_lost)
        await configure(supervisor, self._settings)
        self._supervisors.append(supervisor)

    def is_current(self, supervisor: Supervisor) -> bool:
        """Whether it runs the code that this shoald would start."""
        return supervisor.build == self.spawner.build

    def remove(self, supervisor: Supervisor) -> None:
        """Forgets one that has died."""
        if supervisor in self._supervisors:
            self._supervisors.remove(supervisor)

    async def close(self) -> None:
        """Lets all go. Those that host nothing end, the others stay."""
        ending = [self._retire(supervisor) for supervisor in self if not supervisor.containers]
        await asyncio.gather(*ending, *self._retiring)
        for supervisor in self:
            supervisor.close()
        self._supervisors.clear()
        self.spawner.close()

    async def _grow(self) -> Supervisor:
        """A new supervisor, connected. Raises: Internal when it, and others after it, do not come up."""
        for left in range(_STARTS - 1, -1, -1):
            supervisor = self.spawner.spawn()
            try:
                await self.take_up(supervisor)
            except ShoalError:
                # Its end, and whatever it leaves, is dealt with as that of any other (`on_lost`).
                supervisor.kill()
                if not left:
                    raise
            else:
                return supervisor
        raise AssertionError  # the loop has returned or raised

    async def _retire(self, supervisor: Supervisor) -> None:
        """Ends a supervisor that hosts nothing, and waits for its end."""
        try:
            await supervisor.connected.request("shutdown", {}, timeout_s=_SHUTDOWN_TIMEOUT_S)
            supervisor.connected.close()
            await supervisor.wait_ended(_SHUTDOWN_TIMEOUT_S)
            supervisor.reap()
        except ShoalError:
            pass  # it has died before, or hosts something after all
        supervisor.close()

    def _vacant(self) -> Supervisor | None:
        return next((supervisor for supervisor in self._supervisors if self._has_room(supervisor)), None)

    def _has_room(self, supervisor: Supervisor) -> bool:
        return (
            len(supervisor.containers) < self._per_supervisor
            and supervisor.link is not None
            and not supervisor.link.closed
            and self.is_current(supervisor)
        )
