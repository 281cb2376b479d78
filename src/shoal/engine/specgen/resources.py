"""The limits of a container: checked in Docker's words, then as the specification's resources. Pure.

Source: Docker API v1.50 Resources; docker run reference, "Runtime constraints on resources".
"""

from __future__ import annotations

import os
import posixpath

import msgspec

from shoal.api.host_config import HostConfig, Resources, ThrottleDevice
from shoal.engine.specgen.facts import DeviceSource, HostDevice, MachineFacts
from shoal.errors import InvalidArgument
from shoal.oci import runtime_spec as oci

_MINIMUM_MEMORY = 6 * 1024 * 1024
_NANO = 1_000_000_000
_CPU_PERIOD_US = 100_000
# What the kernel takes; it would make the nearest of these out of any other.
_LEAST_SHARES, _MOST_SHARES = 2, 262_144


def check_resources(given: Resources, machine: MachineFacts, *, update: bool = False) -> list[str]:
    """Warnings about limits that this kernel cannot apply; `supported_resources` leaves those out.

    Raises: InvalidArgument for values out of range or options that exclude each other.
    """
    _check_memory(given, update=update)
    _check_cpu(given, machine)
    _check_cpusets(given, machine)
    if given.blkio_weight and not 10 <= given.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    for asked, what in ((given.io_maximum_bandwidth, "bandwidth"), (given.io_maximum_iops, "IOPs")):
        if asked:
            raise InvalidArgument(f"Invalid QoS settings: linux does not support configuration of maximum {what}")
    warnings = [warning for applies, warning, _ in _unsupported(given, machine) if applies]
    can_disable = machine.cgroup_version == "v1" and "memory" in machine.controllers
    if given.oom_kill_disable and can_disable and not given.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )
    if given.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
    return warnings


def supported_resources(given: Resources, machine: MachineFacts) -> dict[str, object]:
    """The fields that must be reset because this kernel cannot apply them, with their neutral values.

    The caller keeps the request as it is sent and generates from `structs.replace(host, **these)`.
    """
    reset: dict[str, object] = {}
    for applies, _, neutral in _unsupported(given, machine):
        if applies:
            reset.update(neutral)
    return reset


def container_cgroup(parent: str, id: str) -> str:
    """The path of a container's cgroup; a relative `parent`, or one that leads upwards, starts at the root."""
    return posixpath.join(posixpath.normpath("/" + parent.lstrip("/")), id)


def container_resources(
    host: HostConfig, machine: MachineFacts, rules: tuple[oci.DeviceCgroup, ...], source: DeviceSource
) -> oci.Resources:
    """The specification's resources: memory, cpu, pids, block I/O, and the device rules."""
    given = msgspec.structs.replace(host, **supported_resources(host, machine))
    pids = given.pids_limit
    return oci.Resources(
        devices=rules,
        memory=_memory(given, machine),
        cpu=_cpu(given),
        pids=oci.Pids(limit=pids if pids > 0 else -1) if pids else None,
        block_io=_block_io(given, source),
    )


def _check_memory(given: Resources, *, update: bool) -> None:
    if given.memory and given.memory < _MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if given.memory > 0 and given.memory_swap > 0 and given.memory_swap < given.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if given.memory == 0 and given.memory_swap > 0 and not update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = given.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if given.memory_reservation and given.memory_reservation < _MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if given.memory > 0 and given.memory_reservation > given.memory:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(given: Resources, machine: MachineFacts) -> None:
    if given.nano_cpus and given.cpu_period:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if given.nano_cpus and given.cpu_quota:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if given.nano_cpus and "cpu" not in machine.controllers:
        raise InvalidArgument(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    if given.nano_cpus < 0 or given.nano_cpus > machine.cpus * _NANO:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {machine.cpus}.00, as there are only {machine.cpus} CPUs available"
        )
    if (given.cpu_realtime_period or given.cpu_realtime_runtime) and (
        machine.cgroup_version == "v2" or "cpu" not in machine.controllers
    ):
        raise InvalidArgument("Your kernel does not support CPU real-time scheduler")
    if given.cpu_realtime_period and given.cpu_realtime_runtime > given.cpu_realtime_period:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    if given.cpu_period and not 1000 <= given.cpu_period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < given.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if given.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({given.cpu_shares}): value must be a positive integer")
    if given.cpu_shares and given.cpu_shares < _LEAST_SHARES:
        raise InvalidArgument(f"the minimum allowed cpu-shares is {_LEAST_SHARES}")
    if given.cpu_shares > _MOST_SHARES:
        raise InvalidArgument(f"the maximum allowed cpu-shares is {_MOST_SHARES}")


def _check_cpusets(given: Resources, machine: MachineFacts) -> None:
    for asked, available, name, what in (
        (given.cpuset_cpus, machine.cpuset_cpus, "cpuset cpus", "CPUs"),
        (given.cpuset_mems, machine.cpuset_mems, "cpuset mems", "memory nodes"),
    ):
        wanted = _parse_set(asked)
        if wanted is None:
            raise InvalidArgument(f"Invalid value {asked} for {name}: invalid format: {asked}")
        if available and not wanted <= (_parse_set(available) or set()):
            raise InvalidArgument(f"Requested {what} are not available - requested {asked}, available: {available}")


def _unsupported(given: Resources, machine: MachineFacts) -> list[tuple[bool, str, dict[str, object]]]:
    """(whether it applies, Docker's warning, what to reset) for every limit that a kernel may lack."""
    kernel = "Your kernel does not support"
    v2 = machine.cgroup_version == "v2"

    def has(name: str) -> bool:
        return ("io" if v2 and name == "blkio" else name) in machine.controllers

    memory: dict[str, object] = {"memory": 0, "memory_swap": 0, "memory_reservation": 0}
    return [
        (
            bool(given.memory) and not has("memory"),
            f"{kernel} memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
            memory,
        ),
        (
            given.memory > 0 and given.memory_swap != -1 and has("memory") and not machine.memory_swap,
            f"{kernel} swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
            {"memory_swap": -1},
        ),
        (
            given.memory_swappiness not in (None, -1) and (v2 or not has("memory")),
            f"{kernel} memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
            {"memory_swappiness": None},
        ),
        (
            bool(given.oom_kill_disable) and (v2 or not has("memory")),
            f"{kernel} OomKillDisable. OomKillDisable discarded.",
            {"oom_kill_disable": None},
        ),
        (
            bool(given.pids_limit) and not has("pids"),
            f"{kernel} PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
            {"pids_limit": None},
        ),
        (
            bool(given.cpu_shares) and not has("cpu"),
            f"{kernel} CPU shares or the cgroup is not mounted. Shares discarded.",
            {"cpu_shares": 0},
        ),
        (
            bool(given.cpu_period or given.cpu_quota) and not has("cpu"),
            f"{kernel} CPU CFS scheduler or the cgroup is not mounted. Period and quota discarded.",
            {"cpu_period": 0, "cpu_quota": 0},
        ),
        (
            bool(given.cpuset_cpus or given.cpuset_mems) and not has("cpuset"),
            f"{kernel} cpuset or the cgroup is not mounted. Cpuset discarded.",
            {"cpuset_cpus": "", "cpuset_mems": ""},
        ),
        (
            bool(given.blkio_weight) and not has("io" if v2 else "blkio"),
            f"{kernel} Block I/O weight or the cgroup is not mounted. Weight discarded.",
            {"blkio_weight": 0},
        ),
        *_unsupported_of_devices(given, has_blkio=has("blkio")),
    ]


def _unsupported_of_devices(given: Resources, *, has_blkio: bool) -> list[tuple[bool, str, dict[str, object]]]:
    kernel = "Your kernel does not support"
    limits = (
        ("blkio_weight_device", "Block I/O weight_device", "Weight-device"),
        ("blkio_device_read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit"),
        ("blkio_device_write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit"),
        ("blkio_device_read_iops", "IOPS Block read limit", "Block I/O IOPS read limit"),
        ("blkio_device_write_iops", "IOPS Block write limit", "Block I/O IOPS write limit"),
    )
    return [
        (
            bool(getattr(given, name)) and not has_blkio,
            f"{kernel} {what} or the cgroup is not mounted. {lost} discarded.",
            {name: []},
        )
        for name, what, lost in limits
    ]


def _memory(given: Resources, machine: MachineFacts) -> oci.Memory | None:
    swap: int | None = given.memory_swap or None
    if given.memory > 0 and not given.memory_swap and machine.memory_swap:
        # Docker's rule: as much swap as memory, and the specification counts both together.
        swap = given.memory * 2
    if given.memory > 0 and given.memory_swap == -1 and not machine.memory_swap:
        swap = None
    swappiness = given.memory_swappiness
    memory = oci.Memory(
        limit=given.memory or None,
        reservation=given.memory_reservation or None,
        swap=swap,
        kernel_tcp=given.kernel_memory_tcp or None,
        swappiness=None if swappiness in (None, -1) else swappiness,
        disable_oom_killer=given.oom_kill_disable or None,
    )
    return memory if memory != oci.Memory() else None


def _cpu(given: Resources) -> oci.Cpu | None:
    quota, period = given.cpu_quota, given.cpu_period
    if given.nano_cpus:
        quota, period = given.nano_cpus * _CPU_PERIOD_US // _NANO, _CPU_PERIOD_US
    cpu = oci.Cpu(
        shares=given.cpu_shares or None,
        quota=quota or None,
        period=period or None,
        realtime_period=given.cpu_realtime_period or None,
        realtime_runtime=given.cpu_realtime_runtime or None,
        cpus=given.cpuset_cpus,
        mems=given.cpuset_mems,
    )
    return cpu if cpu != oci.Cpu() else None


def _block_io(given: Resources, source: DeviceSource) -> oci.BlockIO | None:
    def throttles(devices: list[ThrottleDevice]) -> tuple[oci.ThrottleDevice, ...]:
        found = ((_block_device(device.path, source), device.rate) for device in devices)
        return tuple(oci.ThrottleDevice(major=node.major, minor=node.minor, rate=rate) for node, rate in found)

    weights = ((_block_device(device.path, source), device.weight) for device in given.blkio_weight_device)
    block = oci.BlockIO(
        weight=given.blkio_weight or None,
        weight_device=tuple(
            oci.WeightDevice(major=node.major, minor=node.minor, weight=weight) for node, weight in weights
        ),
        throttle_read_bps_device=throttles(given.blkio_device_read_bps),
        throttle_write_bps_device=throttles(given.blkio_device_write_bps),
        throttle_read_iops_device=throttles(given.blkio_device_read_iops),
        throttle_write_iops_device=throttles(given.blkio_device_write_iops),
    )
    return block if block != oci.BlockIO() else None


def _block_device(path: str, source: DeviceSource) -> HostDevice:
    try:
        found = source.lookup(path)
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {os.strerror(error.errno or 0).lower()}") from None
    if len(found) != 1 or found[0].kind != "b":
        raise InvalidArgument(f"{path}: not a block device")
    return found[0]


def _parse_set(text: str) -> set[int] | None:
    """The numbers of "0-2,5", None when it is not such a list."""
    numbers: set[int] = set()
    for part in (part for part in text.strip().split(",") if part):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or len(part) > 12:
            return None
        low, high = int(first), int(last if dash else first)
        if high < low or high > 1 << 16:
            return None
        numbers.update(range(low, high + 1))
    return numbers
