"""Version 2 with all of its controllers: what a limit writes, what it does, and who may have processes.

Most machines of developers have version 1 or hybrid groups; there `./dev test vm` runs these in a guest.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux import clone
from shoal.linux.cgroups import Layout, detect
from shoal.linux.cgroups.v2 import V2Cgroup, enable_controllers
from tests.kernel import leaks
from tests.kernel.child import run_in_child

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(detect().version != "v2", reason="no cgroup v2 with controllers here: ./dev test vm has it"),
]

MIB = 1 << 20


@pytest.fixture
def group(cgroup: V2Cgroup) -> V2Cgroup:
    """A new group of version 2."""
    assert isinstance(cgroup, V2Cgroup)
    return cgroup


def read(group: V2Cgroup, name: str) -> str:
    """What the control file says."""
    return Path(group.main_directory(), name).read_text().strip()


@pytest.fixture
def block_device() -> str:
    """ "MAJOR:MINOR" of a whole disk."""
    disks = sorted(path.name for path in Path("/sys/block").glob("[svx]*d*"))
    if not disks:
        pytest.skip("no disk on this machine")
    return Path("/sys/block", disks[0], "dev").read_text().strip()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": 64 * MIB}}, {"memory.max": str(64 * MIB), "memory.swap.max": "max"}),
        ({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}}, {"memory.swap.max": "0"}),
        ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}, {"memory.swap.max": str(32 * MIB)}),
        ({"memory": {"limit": 64 * MIB, "swap": -1}}, {"memory.swap.max": "max"}),
        ({"memory": {"reservation": 32 * MIB}}, {"memory.low": str(32 * MIB)}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "39"}),
        ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
        ({"cpu": {"quota": 50000}}, {"cpu.max": "50000 100000"}),
        ({"cpu": {"period": 50000}}, {"cpu.max": "max 50000"}),
        ({"cpu": {"quota": 20000, "period": 50000, "burst": 10000}}, {"cpu.max.burst": "10000"}),
        ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
        ({"cpu": {"cpus": "0", "mems": "0"}}, {"cpuset.cpus": "0", "cpuset.mems.effective": "0"}),
        ({"pids": {"limit": 77}}, {"pids.max": "77"}),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, {"hugetlb.2MB.max": str(4 * MIB)}),
        ({"unified": {"memory.high": str(8 * MIB), "memory.oom.group": "1"}}, {"memory.oom.group": "1"}),
    ],
)
def test_apply_of_a_limit_is_what_the_kernel_has(
    group: V2Cgroup, resources: dict[str, object], expected: dict[str, str]
) -> None:
    """Each field arrives in its file, without a warning, and version 2's units are right."""
    assert group.apply(resources) == []
    assert {name: read(group, name) for name in expected} == expected


def test_apply_of_throttles_is_one_line_of_the_device(group: V2Cgroup, block_device: str) -> None:
    """Four limits of one device are kept beside each other."""
    major, minor = (int(number) for number in block_device.split(":"))
    place = {"major": major, "minor": minor}
    block = {
        "throttleReadBpsDevice": [{**place, "rate": MIB}],
        "throttleWriteBpsDevice": [{**place, "rate": 2 * MIB}],
        "throttleReadIOPSDevice": [{**place, "rate": 100}],
        "throttleWriteIOPSDevice": [{**place, "rate": 200}],
    }
    assert group.apply({"blockIO": block}) == []
    assert read(group, "io.max") == f"{block_device} rbps={MIB} wbps={2 * MIB} riops=100 wiops=200"


def test_apply_of_a_weight_goes_to_the_scheduler_that_counts(group: V2Cgroup) -> None:
    """BFQ's own weight where it is loaded, version 2's otherwise, each in its scale."""
    assert group.apply({"blockIO": {"weight": 300}}) == []
    if Path(group.main_directory(), "io.bfq.weight").exists():
        assert read(group, "io.bfq.weight").splitlines()[0] == "default 300"
    else:
        assert read(group, "io.weight").splitlines()[0] == "default 2930"


def test_memory_without_swap_kills_instead_of_swapping(group: V2Cgroup) -> None:
    """Memory and swap together as large as memory alone means no swap at all; the kill is counted as the group's."""
    assert group.apply({"memory": {"limit": 16 * MIB, "swap": 16 * MIB}}) == []

    def inside() -> object:
        pid = os.fork()
        if pid == 0:
            bytearray(64 * MIB)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    with group.directory_fd() as directory:
        assert run_in_child(inside, into_cgroup=directory) == -signal.SIGKILL
    usage = group.usage()
    assert (group.oom_kills(), usage["oom_kills"]) == (1, 1)
    assert (usage["memory_failures"] or 0) >= 1


def test_create_hands_every_controller_down(group: V2Cgroup, layout: Layout) -> None:
    """The group has what the top has, its parents hand it down, and it hands nothing down itself."""
    assert layout.unified is not None
    at_the_top = set(Path(layout.unified, "cgroup.controllers").read_text().split())
    assert set(read(group, "cgroup.controllers").split()) == at_the_top
    above = Path(group.main_directory()).parent
    assert set((above / "cgroup.subtree_control").read_text().split()) == at_the_top
    assert read(group, "cgroup.subtree_control") == ""


def test_enable_controllers_where_processes_are_is_ebusy_with_its_mend(group: V2Cgroup) -> None:
    """No internal processes: the kernel's rule, told in words."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        group.attach(process.pid)
        with pytest.raises(SyscallError) as caught:
            enable_controllers(group.main_directory())
        assert caught.value.errno == errno.EBUSY
        assert caught.value.fix == "move the processes of this cgroup into a cgroup below it"
    finally:
        process.kill()
        process.wait()


def test_attach_to_a_group_that_hands_controllers_down_is_ebusy(group: V2Cgroup, layout: Layout) -> None:
    """The other side of the rule: such a group takes no process, neither by a move nor by a clone."""
    layout.create(f"{group.path}/below")
    process = subprocess.Popen(["sleep", "600"])
    try:
        with pytest.raises(SyscallError) as caught:
            group.attach(process.pid)
        assert caught.value.errno == errno.EBUSY
        with group.directory_fd() as directory, pytest.raises(SyscallError) as caught:
            clone.clone3(0, into_cgroup=directory)
        assert (caught.value.syscall, caught.value.errno) == ("clone3", errno.EBUSY)
    finally:
        process.kill()
        process.wait()


def test_kill_reaches_frozen_processes_of_groups_below(group: V2Cgroup) -> None:
    """cgroup.kill needs no thaw."""
    os.mkdir(f"{group.main_directory()}/below")
    process = subprocess.Popen(["sleep", "600"])
    try:
        V2Cgroup(f"{group.path}/below", group.main_directory().removesuffix(group.path)).attach(process.pid)
        group.freeze()
        group.kill(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        group.thaw()
        process.kill()
        process.wait()


def test_usage_of_io_counts_what_was_written(group: V2Cgroup, tmp_path: Path) -> None:
    """Bytes and operations, by device, once they went to a disk."""
    if not Path(
        "/sys/dev/block", f"{os.major(os.stat(tmp_path).st_dev)}:{os.minor(os.stat(tmp_path).st_dev)}"
    ).exists():
        pytest.skip("the test's directory is on no disk")

    def inside() -> object:
        with open(tmp_path / "file", "wb") as file:
            file.write(bytes(MIB))
            file.flush()
            os.fsync(file.fileno())
        return None

    with group.directory_fd() as directory:
        run_in_child(inside, into_cgroup=directory)
    written = [entry for entry in group.usage()["io_bytes"] if entry["op"] == "write"]
    assert sum(entry["value"] for entry in written) >= MIB


def test_supports_judges_by_the_groups_below_the_top(group: V2Cgroup, layout: Layout) -> None:
    """The top has no limits at all, so its own files say nothing."""
    assert group.exists()
    assert layout.supports("memory", "memory.swap.max")
    assert not layout.supports("memory", "memory.nonsense")
    assert leaks.CGROUP_PREFIX in group.path
