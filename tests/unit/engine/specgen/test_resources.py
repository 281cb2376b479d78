"""Limits: Docker's ranges and sentences, its defaults, and what a kernel cannot do."""

from __future__ import annotations

import errno

import msgspec
import pytest

from shoal.api.host_config import HostConfig, ThrottleDevice
from shoal.engine.specgen.facts import HostDevice, MachineFacts
from shoal.engine.specgen.resources import check_resources, container_resources
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Cpu, Memory, Pids, Resources
from tests.unit.engine.specgen.facts import MACHINE, FakeDevices

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        (HostConfig(memory=5 * MIB), "Minimum memory limit allowed is 6MB"),
        (
            HostConfig(memory=64 * MIB, memory_swap=32 * MIB),
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            HostConfig(memory_swap=64 * MIB),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (HostConfig(memory_swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (HostConfig(memory_reservation=1), "Minimum memory reservation allowed is 6MB"),
        (
            HostConfig(memory=8 * MIB, memory_reservation=16 * MIB),
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            HostConfig(nano_cpus=3_000_000_000),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        (
            HostConfig(nano_cpus=1, cpu_quota=5000),
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            HostConfig(nano_cpus=1, cpu_period=5000),
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            HostConfig(cpu_period=1),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (HostConfig(cpu_quota=1), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (HostConfig(cpuset_cpus="x"), "Invalid value x for cpuset cpus: invalid format: x"),
        (HostConfig(cpuset_cpus="0-7"), "Requested CPUs are not available - requested 0-7, available: 0-1"),
        (HostConfig(cpuset_mems="1"), "Requested memory nodes are not available - requested 1, available: 0"),
        (HostConfig(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
    ],
)
def test_resources_out_of_range_are_refused_in_dockers_words(host: HostConfig, sentence: str) -> None:
    """Each limit has its range, checked before anything is made."""
    with pytest.raises(InvalidArgument) as caught:
        check_resources(host, MACHINE)
    assert caught.value.what == sentence


@pytest.mark.parametrize("text", ["", "0", "0-1", "0,1", "1,0-1", " 0"])
def test_resources_cpusets_of_this_machine_are_taken(text: str) -> None:
    """Lists and ranges of existing processors pass."""
    assert check_resources(HostConfig(cpuset_cpus=text), MACHINE) == []


def test_resources_huge_cpuset_range_is_refused_without_being_expanded() -> None:
    """A hostile range must not cost memory."""
    with pytest.raises(InvalidArgument):
        check_resources(HostConfig(cpuset_cpus="0-99999999999"), MACHINE)


def resources(host: HostConfig, machine: MachineFacts = MACHINE, devices: FakeDevices | None = None) -> Resources:
    return container_resources(host, machine, (), devices or FakeDevices())


def test_resources_memory_alone_allows_as_much_swap_again() -> None:
    """Docker's default: memory and swap together are twice the memory."""
    assert resources(HostConfig(memory=64 * MIB)).memory == Memory(limit=64 * MIB, swap=128 * MIB)


def test_resources_unlimited_swap_is_said_as_minus_one() -> None:
    """`--memory-swap -1` stays what it is in the specification."""
    assert resources(HostConfig(memory=64 * MIB, memory_swap=-1)).memory == Memory(limit=64 * MIB, swap=-1)


def test_resources_cpus_become_a_quota_of_100_ms() -> None:
    """`--cpus 1.5` is 150 ms in every 100 ms."""
    assert resources(HostConfig(nano_cpus=1_500_000_000)).cpu == Cpu(quota=150_000, period=100_000)


@pytest.mark.parametrize(("limit", "expected"), [(None, None), (0, None), (-1, Pids(limit=-1)), (7, Pids(limit=7))])
def test_resources_pids_limit_zero_is_none_and_negative_unlimited(limit: int | None, expected: Pids | None) -> None:
    """0 and absent leave the daemon's rule, -1 is unlimited."""
    assert resources(HostConfig(pids_limit=limit)).pids == expected


def test_resources_without_limits_have_no_controller_at_all() -> None:
    """A plain container's cgroup files are not written."""
    plain = resources(HostConfig())
    assert (plain.memory, plain.cpu, plain.pids, plain.block_io) == (None, None, None, None)


def test_resources_throttled_device_is_resolved_to_its_numbers() -> None:
    """A path of a block device becomes major and minor."""
    disk = HostDevice(path="/dev/sda", kind="b", major=8, minor=0, mode=0o660, uid=0, gid=6)
    host = HostConfig(blkio_device_read_bps=[ThrottleDevice(path="/dev/sda", rate=1000)])
    block = resources(host, devices=FakeDevices({"/dev/sda": [disk]})).block_io
    assert [(device.major, device.minor, device.rate) for device in block.throttle_read_bps_device] == [(8, 0, 1000)]


def test_resources_throttled_device_that_is_missing_is_refused() -> None:
    """The sentence names the path and the reason."""
    host = HostConfig(blkio_device_read_bps=[ThrottleDevice(path="/dev/nope", rate=1)])
    with pytest.raises(InvalidArgument) as caught:
        resources(host, devices=FakeDevices({"/dev/nope": OSError(errno.ENOENT, "")}))
    assert caught.value.what == "stat /dev/nope: no such file or directory"


def test_resources_that_the_kernel_lacks_are_warned_about_and_left_out() -> None:
    """A limit that cannot be applied is never passed over in silence."""
    machine = msgspec.structs.replace(MACHINE, controllers=frozenset({"cpu"}), memory_swap=False)
    host = HostConfig(memory=64 * MIB, pids_limit=5, cpuset_cpus="0", blkio_weight=100)
    warnings = check_resources(host, machine)
    assert len(warnings) == 4
    assert all(warning.startswith("Your kernel does not support") for warning in warnings)
    applied = resources(host, machine)
    assert (applied.memory, applied.pids, applied.cpu, applied.block_io) == (None, None, None, None)


def test_resources_swap_limit_missing_leaves_the_memory_limit() -> None:
    """Without swap accounting the memory is limited all the same, and the warning says so."""
    machine = msgspec.structs.replace(MACHINE, memory_swap=False)
    host = HostConfig(memory=64 * MIB)
    assert check_resources(host, machine) == [
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    ]
    assert resources(host, machine).memory == Memory(limit=64 * MIB)


def test_resources_on_v2_discard_what_only_v1_has() -> None:
    """Swappiness and the OOM killer's switch do not exist in cgroup v2."""
    machine = msgspec.structs.replace(MACHINE, cgroup_version="v2")
    host = HostConfig(memory_swappiness=10, oom_kill_disable=True)
    assert len(check_resources(host, machine)) == 2
    assert resources(host, machine).memory is None
