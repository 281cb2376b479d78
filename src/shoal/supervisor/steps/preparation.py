"""File systems made before the plan is there: a blank child makes those that the last container had.

They are detached mounts of the blank's own namespaces. A `MountFilesystem` step that asks for exactly one of them
attaches it instead of making its own; what is not asked for goes when the child becomes its program.
"""

from __future__ import annotations

from shoal.errors import ShoalError
from shoal.linux.devices import fill_device_directory
from shoal.linux.fd import Fd
from shoal.linux.filesystems import detached_filesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = tuple[str, dict[str, Any]]

# Those that belong to the namespaces that a blank has already. A cgroup mount shows where the process is: not these.
_KINDS = ("proc", "tmpfs", "devpts", "sysfs", "mqueue")
_DEVICES = "/dev"


def preparable(steps: list[Wire]) -> list[Wire]:
    """The steps of a plan whose work can be done ahead of it."""
    return [step for step in steps if step[0] == "mount" and step[1]["fstype"] in _KINDS]


class Prepared:
    """What is ready. `has_devices` tells that the /dev that was taken has its default devices."""

    __slots__ = ("_trees", "has_devices")

    def __init__(self) -> None:
        self._trees: list[tuple[Wire, Fd]] = []
        self.has_devices = False

    def make(self, steps: list[Wire]) -> None:
        """Makes what the steps will ask for. One that fails is left to the plan, which tells why."""
        for step in steps:
            arguments = step[1]
            try:
                tree = detached_filesystem(
                    arguments["fstype"], arguments["source"], arguments["options"], arguments["attributes"]
                )
                if arguments["target"] == _DEVICES:
                    fill_device_directory(tree.fileno())
            except (ShoalError, OSError):
                continue
            self._trees.append((step, tree))

    def take(self, step: Wire) -> Fd | None:
        """The detached mount for a step, which becomes the caller's; None where there is none."""
        for number, (made, tree) in enumerate(self._trees):
            if made == step:
                del self._trees[number]
                self.has_devices = self.has_devices or step[1]["target"] == _DEVICES
                return tree
        return None
