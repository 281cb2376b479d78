"""Version 2 on a directory tree that stands in for cgroupfs: which files are written, and what is read from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.linux.cgroups.v2 import V2Cgroup, enable_controllers

CONTROLLERS = "cpuset cpu io memory hugetlb pids"
FILES = ["memory.max", "memory.swap.max", "memory.low", "cpu.weight", "cpu.max", "pids.max", "io.max", "cpuset.cpus"]


@pytest.fixture
def group(tmp_path: Path) -> V2Cgroup:
    """A group with the control files that a kernel would give it."""
    for directory in (tmp_path, tmp_path / "shoal", tmp_path / "shoal" / "x"):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text(CONTROLLERS)
        (directory / "cgroup.subtree_control").write_text("")
        for name in ("cgroup.procs", "cgroup.freeze", "cgroup.kill", "cgroup.events", *FILES):
            (directory / name).write_text("")
    return V2Cgroup("/shoal/x", str(tmp_path))


def read(group: V2Cgroup, name: str) -> str:
    """What was written to a control file of the group."""
    return Path(group.directories()[0], name).read_text()


def test_apply_writes_the_control_files(group: V2Cgroup) -> None:
    """Limits land in the files of version 2, in its units."""
    warnings = group.apply(
        {
            "memory": {"limit": 200, "swap": 500, "reservation": 100},
            "cpu": {"shares": 2, "quota": 10, "period": 20, "cpus": "0"},
            "pids": {"limit": 7},
            "blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]},
        }
    )
    assert warnings == []
    found = {name: read(group, name) for name in FILES}
    assert found == {
        "memory.max": "200",
        "memory.swap.max": "300",
        "memory.low": "100",
        "cpu.weight": "1",
        "cpu.max": "10 20",
        "pids.max": "7",
        "io.max": "8:0 rbps=9",
        "cpuset.cpus": "0",
    }


def test_apply_without_swap_accounting_warns_in_docker_s_words(group: V2Cgroup) -> None:
    """A missing file is a warning, and the rest is applied."""
    Path(group.directories()[0], "memory.swap.max").unlink()
    assert group.apply({"memory": {"limit": 5, "swap": 6}}) == [
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    ]
    assert read(group, "memory.max") == "5"


def test_apply_without_the_controller_warns(group: V2Cgroup) -> None:
    """A controller that is not enabled for the group can't limit it."""
    Path(group.directories()[0], "cgroup.controllers").write_text("cpu memory")
    assert group.apply({"pids": {"limit": 3}}) == [
        "Your kernel does not support pids limit capabilities or the cgroup is not mounted. PIDs limit discarded."
    ]


def test_apply_weight_falls_back_to_bfq(group: V2Cgroup) -> None:
    """Without io.weight the file of the BFQ scheduler takes the weight in its own scale."""
    Path(group.directories()[0], "io.bfq.weight").touch()
    assert group.apply({"blockIO": {"weight": 300}}) == []
    assert read(group, "io.bfq.weight") == "300"


def test_enable_controllers_hands_all_down_in_one_write(tmp_path: Path, group: V2Cgroup) -> None:
    """Only what is missing is asked for."""
    assert group
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory")
    enable_controllers(str(tmp_path))
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+cpuset +hugetlb +io +pids")


def test_attach_freeze_thaw_and_kill_write_their_files(group: V2Cgroup) -> None:
    """Each act is one write to one file."""
    group.attach(42)
    assert read(group, "cgroup.procs") == "42"
    Path(group.directories()[0], "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert read(group, "cgroup.freeze") == "1"
    group.thaw()
    assert read(group, "cgroup.freeze") == "0"
    group.kill(9)
    assert read(group, "cgroup.kill") == "1"


def test_usage_reads_every_counter(group: V2Cgroup) -> None:
    """The files of version 2 come in the common shape and in nanoseconds."""
    top = Path(group.directories()[0])
    contents = {
        "memory.current": "1000\n",
        "memory.peak": "2000\n",
        "memory.max": "max\n",
        "memory.stat": "anon 10\nfile 20\n",
        "memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n",
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 9\nnr_throttled 1\nthrottled_usec 7\n",
        "pids.current": "3\n",
        "pids.max": "10\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
    }
    for name, text in contents.items():
        (top / name).write_text(text)
    usage = group.usage()
    assert usage == {
        "memory_bytes": 1000,
        "memory_max_bytes": 2000,
        "memory_limit_bytes": None,
        "memory_failures": 2,
        "memory_stats": {"anon": 10, "file": 20},
        "cpu_ns": 5000,
        "cpu_user_ns": 3000,
        "cpu_system_ns": 2000,
        "per_cpu_ns": [],
        "throttling_periods": 9,
        "throttled_periods": 1,
        "throttled_ns": 7000,
        "pids": 3,
        "pids_limit": 10,
        "io_bytes": [
            {"major": 8, "minor": 0, "op": "read", "value": 1},
            {"major": 8, "minor": 0, "op": "write", "value": 2},
        ],
        "io_operations": [
            {"major": 8, "minor": 0, "op": "read", "value": 3},
            {"major": 8, "minor": 0, "op": "write", "value": 4},
        ],
        "oom_kills": 1,
    }
