"""What a container and its client see of control groups of version 2.

Most machines of developers have version 1 or hybrid groups; there `./dev test vm` runs these in a guest.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from shoal.linux.cgroups import detect
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = [
    pytest.mark.usefixtures("cli"),
    pytest.mark.skipif(detect().version != "v2", reason="no cgroup v2 with controllers here: ./dev test vm has it"),
]

MIB = 1 << 20


def files(engine: Engine, *options: str, names: str) -> list[str]:
    """The contents of control files that a container with these options sees in its own group."""
    script = f"cd /sys/fs/cgroup; for name in {names}; do echo $(cat $name); done"
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script).splitlines()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-m", "64m"], {"memory.max": str(64 * MIB), "memory.swap.max": str(64 * MIB)}),
        (["-m", "64m", "--memory-swap", "64m"], {"memory.swap.max": "0"}),
        (["-m", "64m", "--memory-swap", "-1"], {"memory.swap.max": "max"}),
        (["-m", "64m", "--memory-reservation", "32m"], {"memory.low": str(32 * MIB)}),
        (["--cpus", "0.5", "--cpu-shares", "512"], {"cpu.max": "50000 100000", "cpu.weight": "20"}),
        (["--cpuset-cpus", "0", "--cpuset-mems", "0"], {"cpuset.cpus": "0", "cpuset.mems": "0"}),
        (["--pids-limit", "77"], {"pids.max": "77"}),
        (["--blkio-weight", "300"], {"$(ls | grep -x io.bfq.weight || echo io.weight)": None}),
    ],
    ids=lambda value: value[-2].strip("-") if isinstance(value, list) else "",
)
def test_run_limit_is_in_the_group(engine: Engine, options: list[str], expected: dict[str, str | None]) -> None:
    """Each option arrives in the file of version 2, in its units."""
    found = files(engine, *options, names=" ".join(expected))
    wanted = list(expected.values())
    assert found == wanted or (wanted == [None] and found[0] in ("default 300", "default 2930"))


def test_run_device_limits_are_one_line(engine: Engine) -> None:
    """Bytes read and operations written of one disk."""
    disk = next(iter(sorted(Path("/dev").glob("[vs]da"))), None)
    if disk is None:
        pytest.skip("no disk on this machine")
    options = ["--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:100"]
    (line,) = files(engine, *options, names="io.max")
    assert line.split()[1:] == [f"rbps={MIB}", "wbps=max", "riops=max", "wiops=100"]


def test_run_sees_its_own_group_alone_and_cannot_write(engine: Engine) -> None:
    """The container's group is the root of what it sees, read-only, with the options of the machine's own mount."""
    script = "cat /proc/self/cgroup; grep /sys/fs/cgroup /proc/mounts; mkdir /sys/fs/cgroup/x"
    done = engine.docker("run", "--rm", "busybox", "sh", "-c", script)
    own, mount = done.stdout.splitlines()
    assert own == "0::/"
    assert mount.split()[3].startswith("ro,nosuid,nodev,noexec")
    assert "Read-only file system" in done.stderr


def test_run_privileged_may_make_groups(engine: Engine) -> None:
    """A container engine in a container works; what it made goes with it."""
    script = "mkdir -p /sys/fs/cgroup/a/b && echo 0 > /sys/fs/cgroup/a/b/cgroup.procs && cat /proc/self/cgroup"
    assert engine.ok("run", "--rm", "--privileged", "busybox", "sh", "-c", script) == "0::/a/b"


def test_run_cgroupns_host_sees_the_machine_and_changes_nothing(engine: Engine) -> None:
    """The whole tree is shown, and the machine's mount keeps nsdelegate and its other options."""

    def options() -> list[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        return [line for line in lines if line.split()[2] == "cgroup2"]

    before = options()
    id_ = engine.ok("run", "-d", "--cgroupns", "host", "busybox", "sleep", "1000")
    shown = engine.ok("exec", id_, "cat", "/proc/1/cgroup")
    assert shown.endswith(f"/{id_}")
    assert engine.ok("exec", id_, "ls", f"/sys/fs/cgroup{shown.removeprefix('0::')}/cgroup.procs")
    if engine.name == "shoald":  # runc 1.1 mounts anew from the first namespace, which resets them
        assert options() == before


def test_exec_into_a_container_that_runs_groups_of_its_own(engine: Engine) -> None:
    """Where the container's own group may have no process any more, the new one joins its init's."""
    script = (
        "cd /sys/fs/cgroup; mkdir init; echo 1 > init/cgroup.procs; echo +memory > cgroup.subtree_control;"
        "echo ready; exec sleep 1000"
    )
    engine.ok("run", "-d", "--name", "it", "--privileged", "busybox", "sh", "-c", script)
    with engine.popen("logs", "-f", "it") as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"ready\n"
        logs.kill()
    assert engine.ok("exec", "it", "cat", "/proc/self/cgroup") == "0::/init"
    assert engine.ok("pause", "it") == "it"
    assert engine.ok("unpause", "it") == "it"
    assert len(engine.ok("top", "it").splitlines()) == 2
    engine.ok("rm", "-f", "it")


def test_run_cgroup_parent_is_where_the_group_is(engine: Engine) -> None:
    """--cgroup-parent names a group from the top of the tree."""
    parent = f"/shoal-parent-{engine.name}"
    id_ = engine.ok("run", "-d", "--cgroup-parent", parent, "-m", "64m", "busybox", "sleep", "1000")
    place = Path(f"/sys/fs/cgroup{parent}", id_)
    assert (place / "memory.max").read_text().strip() == str(64 * MIB)
    engine.ok("rm", "-f", id_)
    assert not place.exists()
    place.parent.rmdir()


def test_update_changes_the_files(engine: Engine) -> None:
    """Memory up and down again with its swap, quota, weight and tasks, while the container runs."""
    engine.ok("run", "-d", "--name", "it", "-m", "64m", "busybox", "sleep", "1000")
    engine.ok("update", "-m", "128m", "--memory-swap", "192m", "it")
    engine.ok("update", "-m", "32m", "--memory-swap", "64m", "--cpus", "0.25", "--pids-limit", "55", "it")
    script = "cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max"
    found = engine.ok("exec", "it", "sh", "-c", script).splitlines()
    assert found == [str(32 * MIB), str(32 * MIB), "25000 100000", "55"]


def test_run_out_of_memory_is_told(engine: Engine) -> None:
    """Killed for want of memory: exit code 137, OOMKilled, and the event."""
    script = "x=a; while :; do x=$x$x; done"
    done = engine.docker("run", "--name", "it", "-m", "8m", "--memory-swap", "8m", "busybox", "sh", "-c", script)
    state = dict(engine.inspect("it")["State"])  # type: ignore[call-overload]
    assert (done.returncode, state["ExitCode"], state["OOMKilled"]) == (137, 137, True)


def test_stats_have_the_names_of_version_2(engine: Engine) -> None:
    """The names of memory.stat, operations in lower case, and what the kernel does not count left out."""
    script = "dd if=/bin/busybox of=/file 2>&1; sync; exec sleep 1000"
    engine.ok("run", "-d", "--name", "it", "-m", "64m", "busybox", "sh", "-c", script)
    engine.ok("exec", "it", "sh", "-c", "until [ -s /file ]; do sleep 0.1; done; sync")
    found = engine.request("GET", "/containers/it/stats?stream=0").json
    memory = found["memory_stats"]
    assert memory["limit"] == 64 * MIB
    assert {"inactive_file", "active_anon", "file", "anon", "pgfault"} <= set(memory["stats"])
    assert "max_usage" not in memory
    assert "percpu_usage" not in found["cpu_stats"]["cpu_usage"]
    assert found["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert {entry["op"] for entry in found["blkio_stats"]["io_service_bytes_recursive"] or []} <= {"read", "write"}
    assert found["blkio_stats"]["sectors_recursive"] is None


def test_info_speaks_of_version_2(engine: Engine) -> None:
    """The version, and which limits can be had."""
    info = json.loads(engine.ok("info", "--format", "{{json .}}"))
    assert (info["CgroupVersion"], info["CgroupDriver"]) == ("2", "cgroupfs")
    assert info["MemoryLimit"] and info["SwapLimit"] and info["PidsLimit"] and info["CPUShares"]  # noqa: PT018
    assert not info["OomKillDisable"]
    assert "name=cgroupns" in info["SecurityOptions"]


def test_killed_shoald_and_supervisor_leave_the_container_in_its_group(private_shoald: Shoald) -> None:
    """The next shoald finds the same process under the same limits, runs more beside it, and clears the group away."""
    engine = private_shoald
    id_ = engine.ok("run", "-d", "-m", "64m", "busybox", "sleep", "1000")
    before = dict(engine.inspect(id_)["State"])  # type: ignore[call-overload]
    supervisors = engine.supervisor_pids()
    engine.kill9()
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    engine.start()
    after = dict(engine.inspect(id_)["State"])  # type: ignore[call-overload]
    assert (after["Running"], after["Pid"]) == (True, before["Pid"])
    assert engine.ok("exec", id_, "cat", "/sys/fs/cgroup/memory.max") == str(64 * MIB)
    place = Path("/sys/fs/cgroup" + Path(f"/proc/{after['Pid']}/cgroup").read_text().strip().removeprefix("0::"))
    assert place.name == id_
    engine.ok("rm", "-f", id_)
    assert not place.exists()
