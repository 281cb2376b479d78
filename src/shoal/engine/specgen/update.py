"""New limits for a container that exists: checked in Docker's words, merged into what it has. Pure.

Source: Docker API v1.50 ContainerUpdate.
"""

from __future__ import annotations

import msgspec

from shoal.api.host_config import HostConfig, Resources
from shoal.api.update import ContainerUpdateRequest
from shoal.errors import Conflict
from shoal.oci import runtime_spec as oci

_MEMORY = ("memory", "memory_swap", "memory_reservation", "memory_swappiness", "kernel_memory_tcp")
_CPU = ("cpu_shares", "nano_cpus", "cpu_period", "cpu_quota", "cpu_realtime_period", "cpu_realtime_runtime")
_CPUSETS = ("cpuset_cpus", "cpuset_mems")
_BLOCK_IO = ("blkio_weight", "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps")
_BLOCK_IOPS = ("blkio_device_read_iops", "blkio_device_write_iops")
# What an update changes; all else of a request is passed over, as Docker does.
_CHANGEABLE = (
    *("memory", "memory_swap", "memory_reservation", "blkio_weight", "pids_limit"),
    *_CPU,
    *_CPUSETS,
)


def updated_host(host: HostConfig, given: ContainerUpdateRequest) -> HostConfig:
    """A copy of `host` with what the request changes; 0, empty and absent leave it as it is.

    Raises: Conflict for what contradicts the limits that the container has.
    """
    _check_against(host, given)
    changes = {name: value for name in _CHANGEABLE if (value := getattr(given, name)) not in (0, "", None)}
    if given.pids_limit is not None:
        changes["pids_limit"] = given.pids_limit
    if given.restart_policy.name:
        changes["restart_policy"] = given.restart_policy
    return msgspec.structs.replace(host, **changes)


def _check_against(host: HostConfig, given: ContainerUpdateRequest) -> None:
    conflicts = (
        (given.nano_cpus > 0 and host.cpu_period > 0, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (given.nano_cpus > 0 and host.cpu_quota > 0, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (given.cpu_period > 0 and host.nano_cpus > 0, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (given.cpu_quota > 0 and host.nano_cpus > 0, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    )
    for applies, sentence in conflicts:
        if applies:
            raise Conflict(f"Conflicting options: {sentence}")
    if given.memory and given.memory > host.memory_swap and not given.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            fix="give --memory-swap too: the sum of memory and swap, or -1",
        )
    if given.restart_policy.name not in ("", "no") and host.auto_remove:
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")


def changed_limits(whole: oci.Resources, given: Resources) -> oci.Resources:
    """The parts of a container's new limits that the request touches: nothing else is written anew."""
    pids = whole.pids
    if given.pids_limit is not None and pids is None:
        pids = oci.Pids(limit=-1)
    return oci.Resources(
        memory=whole.memory if _touches(given, _MEMORY) else None,
        cpu=whole.cpu if _touches(given, (*_CPU, *_CPUSETS)) else None,
        pids=pids if given.pids_limit is not None else None,
        block_io=whole.block_io if _touches(given, (*_BLOCK_IO, *_BLOCK_IOPS)) else None,
    )


def _touches(given: Resources, names: tuple[str, ...]) -> bool:
    return any(getattr(given, name) for name in names)
