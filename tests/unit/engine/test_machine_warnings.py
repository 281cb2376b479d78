"""What a user is told of the speed of virtual machines."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from shoal.engine.virtual_machines import SLOW, VirtualMachines
from shoal.runtime.vm.machines import Status


class Host:
    """Machines of a host on which KVM is in some state."""

    def __init__(self, without_kvm: str, kvm_boots: bool | None) -> None:
        self._status = Status((), without_kvm, kvm_boots)

    def status(self) -> Status:
        """That state."""
        return self._status


@pytest.mark.parametrize(
    ("without_kvm", "kvm_boots", "is_slow"),
    [("there is no /dev/kvm", None, True), ("", False, True), ("", None, False), ("", True, False)],
)
def test_warnings_of_a_creation_name_the_cost_of_emulation(
    without_kvm: str, kvm_boots: bool | None, is_slow: bool
) -> None:
    """Only where it is known that machines are emulated, not before anything was tried."""
    machines = VirtualMachines(cast(Any, Host(without_kvm, kvm_boots)))
    warnings = asyncio.run(machines.warnings())
    assert bool(warnings) is is_slow
    assert all(warning.startswith(SLOW) for warning in warnings)
