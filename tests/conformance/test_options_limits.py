"""Limits: what each option writes into the container's cgroup, and what is said to values that make no sense."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from tests.conformance.commands import run, run_refused, shown
from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

_MI = 1 << 20
_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def block_device() -> tuple[str, str]:
    """(path, "major:minor") of a disk of this machine."""
    for path in sorted(Path("/dev").iterdir()):
        status = path.stat()
        if stat.S_ISBLK(status.st_mode) and re.fullmatch(r"(vd|sd|xvd)[a-z]|nvme\d+n\d+", path.name):
            return str(path), f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    pytest.skip("this machine has no disk to limit")


@pytest.mark.parametrize(
    ("options", "v1", "v2"),
    [
        ("-m 64m", {"memory/memory.limit_in_bytes": 64 * _MI}, {"memory.max": 64 * _MI}),
        ("-m 64m", {"memory/memory.memsw.limit_in_bytes": 128 * _MI}, {"memory.swap.max": 64 * _MI}),
        ("-m 64m --memory-swap 96m", {"memory/memory.memsw.limit_in_bytes": 96 * _MI}, {"memory.swap.max": 32 * _MI}),
        ("-m 64m --memory-swap -1", {"memory/memory.memsw.limit_in_bytes": 2**63 - 4096}, {"memory.swap.max": "max"}),
        ("--memory-reservation 32m", {"memory/memory.soft_limit_in_bytes": 32 * _MI}, {"memory.low": 32 * _MI}),
        ("--memory-swappiness 33", {"memory/memory.swappiness": 33}, {}),
        ("-m 64m --oom-kill-disable", {"memory/memory.oom_control": "oom_kill_disable 1 under_oom 0 oom_kill 0"}, {}),
        ("-c 333", {"cpu/cpu.shares": 333}, {"cpu.weight": 13}),
        ("--cpu-quota 20000 --cpu-period 50000", {"cpu/cpu.cfs_quota_us": 20000}, {"cpu.max": "20000 50000"}),
        ("--cpu-quota 20000 --cpu-period 50000", {"cpu/cpu.cfs_period_us": 50000}, {"cpu.max": "20000 50000"}),
        ("--cpus 0.25", {"cpu/cpu.cfs_quota_us": 25000}, {"cpu.max": "25000 100000"}),
        ("--cpuset-cpus 0", {"cpuset/cpuset.cpus": 0}, {"cpuset.cpus": 0}),
        ("--cpuset-mems 0", {"cpuset/cpuset.mems": 0}, {"cpuset.mems": 0}),
        ("--pids-limit 50", {"pids/pids.max": 50}, {"pids.max": 50}),
        ("--pids-limit -1", {"pids/pids.max": "max"}, {"pids.max": "max"}),
        ("--pids-limit 0", {"pids/pids.max": "max"}, {"pids.max": "max"}),
    ],
)
def test_limit_is_in_the_cgroup(engine: Engine, options: str, v1: dict[str, object], v2: dict[str, object]) -> None:
    """Read where the kernel keeps it, inside the container."""
    for file, value in (v2 if _V2 else v1).items():
        assert run(engine, *options.split(), script=f"echo $(cat /sys/fs/cgroup/{file})") == str(value)


def test_block_device_limits_are_in_the_cgroup(engine: Engine) -> None:
    """Bytes and operations a second, of reading and of writing."""
    disk, number = block_device()
    options = ["--device-read-bps", f"{disk}:1mb", "--device-write-bps", f"{disk}:2mb"]
    options += ["--device-read-iops", f"{disk}:100", "--device-write-iops", f"{disk}:200"]
    if _V2:
        out = run(engine, *options, script="cat /sys/fs/cgroup/io.max")
        assert out == f"{number} rbps=1048576 wbps=2097152 riops=100 wiops=200"
        return
    names = ("read_bps", "write_bps", "read_iops", "write_iops")
    files = " ".join(f"/sys/fs/cgroup/blkio/blkio.throttle.{name}_device" for name in names)
    out = run(engine, *options, script=f"cat {files}")
    assert out.splitlines() == [f"{number} 1048576", f"{number} 2097152", f"{number} 100", f"{number} 200"]


def test_block_weight_is_set_or_told_to_be_discarded(engine: Engine) -> None:
    """Docker knows the weight of schedulers that are gone; shoal also the one of bfq, which this kernel may have."""
    done = engine.docker(
        "run", "--rm", "--blkio-weight", "300", "busybox", "sh", "-c", "cat /sys/fs/cgroup/blkio/*weight"
    )
    lost = "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
    assert lost in done.stderr or "300" in done.stdout.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-m 1m", "Minimum memory limit allowed is 6MB"),
        ("-m 64m --memory-swap 32m", "Minimum memoryswap limit should be larger than memory limit, see usage"),
        ("--memory-swap 64m", "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ("--memory-reservation 1m", "Minimum memory reservation allowed is 6MB"),
        (
            "-m 64m --memory-reservation 128m",
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        ("--cpu-quota 200", "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            "--cpu-period 200",
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ("--cpus 1 --cpu-quota 20000", "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ("--cpus 1 --cpu-period 20000", "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        ("--cpus 10000", "ange of CPUs is from 0.01 to"),
        ("--cpuset-cpus 777", "Requested CPUs are not available - requested 777, available: 0"),
        ("--cpuset-mems 77", "Requested memory nodes are not available - requested 77, available: 0"),
        ("--cpuset-cpus a-b", "Invalid value a-b for cpuset cpus: invalid format: a-b"),
        ("-c 1", "the minimum allowed cpu-shares is 2"),
        ("--oom-score-adj 2000", "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ("--device-read-bps /dev/nope:1mb", "stat /dev/nope: no such file or directory"),
    ],
)
def test_limit_that_makes_no_sense_is_refused(engine: Engine, options: str, expected: str) -> None:
    """In Docker's words."""
    assert expected in run_refused(engine, *options.split())


def test_limits_that_are_warned_of(engine: Engine) -> None:
    """No out-of-memory killer and no limit: the machine could suffer."""
    if _V2:
        pytest.skip("cgroup v2 has no switch for it")
    done = engine.docker("create", "--oom-kill-disable", "busybox")
    assert done.stderr.startswith("WARNING: OOM killer is disabled for the container, but no memory limit is set")


def test_kernel_memory_limit_is_not_taken_for_one(engine: Engine) -> None:
    """The kernel has none any more: Docker warns and goes on, shoal refuses."""
    body = {"Image": "busybox", "HostConfig": {"KernelMemory": 50 * _MI}}
    answer = engine.request("POST", "/containers/create", body)
    assert answer.status == (400 if engine.name == "shoald" else 201)
    assert re.search(sentence(engine, "kernel-memory"), answer.body.decode()), answer.body


@pytest.mark.parametrize("parent", ["/{name}", "{name}", "../../{name}"])
def test_cgroup_parent_is_where_the_container_lives(engine: Engine, parent: str) -> None:
    """Absolute or not, it is below the root of the hierarchy, and nowhere else."""
    name = f"conformance-{engine.name}"
    own = engine.ok("run", "-d", "--name", "box", "--cgroup-parent", parent.format(name=name), "busybox", "sleep", "9")
    pid = shown(engine, "box", "{{.State.Pid}}")
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    # Of the hybrid layout's second tree nobody makes use.
    paths = {path for _, controllers, path in lines if _V2 or controllers}
    assert shown(engine, "box", "{{json .HostConfig.CgroupParent}}") == parent.format(name=name)
    engine.ok("rm", "-f", "box")
    for path in paths:
        for left in [*Path("/sys/fs/cgroup").glob(f"*{os.path.dirname(path)}"), Path(f"/sys/fs/cgroup{path}").parent]:
            if left.is_dir():
                left.rmdir()
    # runc starts from the daemon's own cgroup where it is told of no root.
    assert all(path.endswith(f"/{name}/{own}") for path in paths)
    assert paths == {f"/{name}/{own}"} or engine.name == "dockerd"


def test_ulimits_of_every_kind(engine: Engine) -> None:
    """One number is both, and -1 has no bound where the daemon has none."""
    options = ("--ulimit", "core=0", "--ulimit", "nproc=100:200", "--ulimit", "stack=1048576", "--ulimit", "fsize=-1")
    out = run(engine, *options, script="ulimit -c; ulimit -Hc; ulimit -Su; ulimit -Hu; ulimit -s; ulimit -f")
    assert out.split() == ["0", "0", "100", "200", "1024", "unlimited"]


def test_shm_size_is_that_of_dev_shm(engine: Engine) -> None:
    """Also shown by `inspect`, in bytes."""
    engine.ok("create", "--name", "box", "--shm-size", "2m", "busybox")
    assert shown(engine, "box", "{{.HostConfig.ShmSize}}") == 2 * _MI
    assert "size=2048k" in run(engine, "--shm-size", "2m", script="grep ' /dev/shm ' /proc/mounts")
