"""OCI resources as writes to control files: one case a field, for both versions."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.linux.cgroups.settings import cpu_weight, io_weight, v1_settings, v2_settings

Resources = dict[str, object]
Write = tuple[str | None, str, str]

DISK = {"major": 8, "minor": 16}

# resources, the writes on version 1, the writes on version 2 (controller None: a warning only)
CASES: list[tuple[Resources, list[Write], list[Write]]] = [
    ({}, [], []),
    (
        {"memory": {"limit": 1048576}},
        [("memory", "memory.limit_in_bytes", "1048576")],
        [("memory", "memory.max", "1048576")],
    ),
    (
        {"memory": {"limit": 100, "swap": 300}},
        [("memory", "memory.limit_in_bytes", "100"), ("memory", "memory.memsw.limit_in_bytes", "300")],
        [("memory", "memory.max", "100"), ("memory", "memory.swap.max", "200")],
    ),
    (
        {"memory": {"limit": 100, "swap": 100}},
        [("memory", "memory.limit_in_bytes", "100"), ("memory", "memory.memsw.limit_in_bytes", "100")],
        [("memory", "memory.max", "100"), ("memory", "memory.swap.max", "0")],
    ),
    (
        {"memory": {"limit": -1, "swap": -1}},
        [("memory", "memory.limit_in_bytes", "-1"), ("memory", "memory.memsw.limit_in_bytes", "-1")],
        [("memory", "memory.max", "max"), ("memory", "memory.swap.max", "max")],
    ),
    ({"memory": {"limit": 0, "swap": 0, "reservation": 0}}, [], []),
    (
        {"memory": {"reservation": 50, "swappiness": 0, "disableOOMKiller": True}},
        [
            ("memory", "memory.soft_limit_in_bytes", "50"),
            ("memory", "memory.swappiness", "0"),
            ("memory", "memory.oom_control", "1"),
        ],
        [("memory", "memory.low", "50"), (None, "swappiness", ""), (None, "disableOOMKiller", "")],
    ),
    (
        {"cpu": {"shares": 1024}},
        [("cpu", "cpu.shares", "1024")],
        [("cpu", "cpu.weight", "39")],
    ),
    (
        {"cpu": {"quota": 50000, "period": 200000}},
        [("cpu", "cpu.cfs_period_us", "200000"), ("cpu", "cpu.cfs_quota_us", "50000")],
        [("cpu", "cpu.max", "50000 200000")],
    ),
    (
        {"cpu": {"quota": -1}},
        [("cpu", "cpu.cfs_quota_us", "-1")],
        [("cpu", "cpu.max", "max 100000")],
    ),
    (
        {"cpu": {"cpus": "0-1,3", "mems": "0", "idle": 0, "burst": 10}},
        [
            ("cpu", "cpu.cfs_burst_us", "10"),
            ("cpu", "cpu.idle", "0"),
            ("cpuset", "cpuset.cpus", "0-1,3"),
            ("cpuset", "cpuset.mems", "0"),
        ],
        [
            ("cpu", "cpu.max.burst", "10"),
            ("cpu", "cpu.idle", "0"),
            ("cpuset", "cpuset.cpus", "0-1,3"),
            ("cpuset", "cpuset.mems", "0"),
        ],
    ),
    (
        {"cpu": {"realtimeRuntime": 5, "realtimePeriod": 10}},
        [("cpu", "cpu.rt_period_us", "10"), ("cpu", "cpu.rt_runtime_us", "5")],
        [(None, "realtimeRuntime", "")],
    ),
    ({"pids": {"limit": 10}}, [("pids", "pids.max", "10")], [("pids", "pids.max", "10")]),
    ({"pids": {"limit": -1}}, [("pids", "pids.max", "max")], [("pids", "pids.max", "max")]),
    ({"pids": {"limit": 0}}, [("pids", "pids.max", "max")], [("pids", "pids.max", "max")]),
    (
        {"blockIO": {"weight": 500, "weightDevice": [{**DISK, "weight": 10}]}},
        [("blkio", "blkio.weight", "500"), ("blkio", "blkio.weight_device", "8:16 10")],
        [("io", "io.bfq.weight", "500"), ("io", "io.bfq.weight", "8:16 10")],
    ),
    (
        {
            "blockIO": {
                "throttleReadBpsDevice": [{**DISK, "rate": 1}],
                "throttleWriteBpsDevice": [{**DISK, "rate": 2}],
                "throttleReadIOPSDevice": [{**DISK, "rate": 3}],
                "throttleWriteIOPSDevice": [{**DISK, "rate": 4}],
            }
        },
        [
            ("blkio", "blkio.throttle.read_bps_device", "8:16 1"),
            ("blkio", "blkio.throttle.write_bps_device", "8:16 2"),
            ("blkio", "blkio.throttle.read_iops_device", "8:16 3"),
            ("blkio", "blkio.throttle.write_iops_device", "8:16 4"),
        ],
        [
            ("io", "io.max", "8:16 rbps=1"),
            ("io", "io.max", "8:16 wbps=2"),
            ("io", "io.max", "8:16 riops=3"),
            ("io", "io.max", "8:16 wiops=4"),
        ],
    ),
    (
        {"hugepageLimits": [{"pageSize": "2MB", "limit": 4096}]},
        [("hugetlb", "hugetlb.2MB.limit_in_bytes", "4096")],
        [("hugetlb", "hugetlb.2MB.max", "4096")],
    ),
    (
        {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}},
        [("rdma", "rdma.max", "mlx5_1 hca_handle=3 hca_object=10000")],
        [("rdma", "rdma.max", "mlx5_1 hca_handle=3 hca_object=10000")],
    ),
    (
        {"network": {"classID": 7, "priorities": [{"name": "eth0", "priority": 5}]}},
        [("net_cls", "net_cls.classid", "7"), ("net_prio", "net_prio.ifpriomap", "eth0 5")],
        [],
    ),
    (
        {"unified": {"memory.high": "100\n"}},
        [(None, "memory.high", "100\n")],
        [("memory", "memory.high", "100")],
    ),
]


def writes(settings: list[object]) -> list[Write]:
    """Settings as plain tuples."""
    return [(s.controller, s.file, s.value) for s in settings]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("resources", "v1", "v2"), CASES)
def test_settings_of_each_field(resources: Resources, v1: list[Write], v2: list[Write]) -> None:
    """Each field of the specification is the documented write on each version, or a warning, and nothing else."""
    assert writes(list(v1_settings(resources))) == v1
    assert writes(list(v2_settings(resources))) == v2


def test_settings_of_weights_know_bfq_and_what_comes_in_its_place() -> None:
    """Where the BFQ scheduler has a weight it is in its own scale, the old one; version 2's own is another."""
    resources: Resources = {"blockIO": {"weight": 300}}
    assert v1_settings(resources)[0].alternative == ("blkio.bfq.weight", "300")
    assert v2_settings(resources)[0].alternative == ("io.weight", "default 2930")


@pytest.mark.parametrize(("shares", "weight"), [(0, 1), (2, 1), (1024, 39), (262144, 10000), (10**9, 10000)])
def test_cpu_weight_covers_the_whole_range(shares: int, weight: int) -> None:
    """The ends meet, and values beyond them are clamped."""
    assert cpu_weight(shares) == weight


@pytest.mark.parametrize(("old", "new"), [(10, 1), (1000, 10000), (0, 1), (5000, 10000)])
def test_io_weight_covers_the_whole_range(old: int, new: int) -> None:
    """The ends meet, and values beyond them are clamped."""
    assert io_weight(old) == new


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ({"memory": 5}, "invalid resources: memory is no object"),
        ({"memory": {"limit": "1g"}}, "invalid resources: limit is no integer: '1g'"),
        ({"memory": {"limit": True}}, "invalid resources: limit is no integer: True"),
        ({"cpu": {"cpus": 3}}, "invalid resources: cpus is no string: 3"),
        ({"hugepageLimits": {}}, "invalid resources: hugepageLimits is no list of objects"),
        ({"blockIO": {"weightDevice": [3]}}, "invalid resources: weightDevice is no list of objects"),
        ({"memory": {"limit": 300, "swap": 100}}, "invalid memory and swap limit 100"),
        ({"unified": {"../memory.max": "1"}}, "invalid unified resource '../memory.max'"),
        ({"unified": {"nodot": "1"}}, "invalid unified resource 'nodot'"),
    ],
)
def test_settings_of_malformed_resources_are_refused(resources: Resources, sentence: str) -> None:
    """What is no resource is named; a unified name can't lead to another directory."""
    with pytest.raises(InvalidArgument) as caught:
        v2_settings(resources)
    assert caught.value.what == sentence


def test_setting_warning_is_docker_s_sentence() -> None:
    """Clients know these words."""
    settings = v1_settings({"memory": {"limit": 1, "swap": 1}})
    assert [setting.warning() for setting in settings] == [
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap.",
    ]
