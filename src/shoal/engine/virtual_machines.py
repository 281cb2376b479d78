"""The virtual machines of this host as its users see them: what they need, and how it is got."""

from __future__ import annotations

import asyncio

from shoal.api.machines import MachinePart, MachinesStatus
from shoal.engine.container.isolation import USUAL_SIZE
from shoal.errors import ShoalError
from shoal.runtime.vm.machines import Finding, Machines, Status

SLOW = (
    "machines run without KVM: every instruction is emulated, so a start takes seconds, and programs run ten to "
    "twenty times slower than in a container"
)


class VirtualMachines:
    """GET /vm and POST /vm/setup."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def status(self) -> MachinesStatus:
        """What is there, and what is missing and why."""
        return shown(await asyncio.to_thread(self._machines.status))

    async def warnings(self) -> list[str]:
        """What whoever makes a machine is to know of it: that it will be slow, where it will."""
        status = await asyncio.to_thread(self._machines.status)
        return _warnings(status) if _accelerator(status) == "tcg" else []

    async def set_up(self, kernel: str) -> MachinesStatus:
        """Gets what is missing and can be got: a kernel, from apt or from the path `kernel`, and what goes with it.

        Raises: InvalidArgument, Unavailable.
        """
        await self._machines.set_up(kernel, USUAL_SIZE)
        return await self.status()


def shown(status: Status) -> MachinesStatus:
    """The status on the wire."""
    parts = [_part(finding) for finding in status.findings]
    is_ready = all(part.present for part in parts)
    return MachinesStatus(ready=is_ready, accelerator=_accelerator(status), parts=parts, warnings=_warnings(status))


def _accelerator(status: Status) -> str:
    if status.without_kvm or status.kvm_boots is False:
        return "tcg"
    return "kvm" if status.kvm_boots else ""


def _part(finding: Finding) -> MachinePart:
    if isinstance(finding.found, ShoalError):
        return MachinePart(name=finding.name, present=False, detail=str(finding.found), hint=finding.found.fix)
    return MachinePart(name=finding.name, present=True, detail=finding.found)


def _warnings(status: Status) -> list[str]:
    if status.without_kvm:
        return [f"{SLOW} ({status.without_kvm})"]
    if status.kvm_boots is None:
        return ["whether KVM boots a guest here has not been tried yet: the first machine, or shoal vm setup, does"]
    return [] if status.kvm_boots else [f"{SLOW} (/dev/kvm is there, and does not boot a guest)"]
