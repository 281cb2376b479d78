"""What the server asks of virtual machines: an addition of shoal's to the nouns of backend.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shoal.api.machines import MachinesStatus


class MachineBackend(Protocol):
    """Virtual machines."""

    async def status(self) -> MachinesStatus:
        """Whether containers can run in them, and what is missing."""
        ...

    async def set_up(self, kernel: str) -> MachinesStatus:
        """Gets a kernel, Debian's or that at a path. Raises: InvalidArgument, Unavailable."""
        ...
