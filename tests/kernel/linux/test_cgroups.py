"""Control groups of this machine's layout, with real processes and real limits."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument, SyscallError, Unsupported
from shoal.linux import clone, pidfd
from shoal.linux.cgroups import Cgroup, Layout
from tests.kernel import leaks

pytestmark = pytest.mark.root

MIB = 1 << 20
DOCKER_DEVICES = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing, for being moved around."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def run_inside(group: Cgroup, script: str) -> int:
    """The exit status (negative: the signal) of a shell that runs `script` in the group from its start on."""
    process = subprocess.Popen(["sh", "-c", f"read go; {script}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    with process.stdin:
        group.attach(process.pid)
        process.stdin.write(b"\n")
    try:
        return process.wait(60)
    finally:
        process.kill()
        process.wait()


def test_attach_moves_the_process_in_every_hierarchy(cgroup: Cgroup, sleeper: subprocess.Popen[bytes]) -> None:
    """/proc shows the group in each line of a controller, and the group lists the process."""
    cgroup.attach(sleeper.pid)
    lines = Path(f"/proc/{sleeper.pid}/cgroup").read_text().splitlines()
    places = [line.split(":", 2) for line in lines]
    wrong = [line for line in places if line[2] != cgroup.path and (line[1] or len(cgroup.directories()) == 1)]
    assert not wrong
    assert cgroup.pids() == [sleeper.pid]


def test_attach_of_a_missing_process_is_esrch(cgroup: Cgroup) -> None:
    """The error is the kernel's, with the file and the pid."""
    with pytest.raises(SyscallError) as caught:
        cgroup.attach(2**22 - 1)
    assert caught.value.errno == errno.ESRCH
    assert caught.value.object.endswith("cgroup.procs = 4194303")


def test_apply_memory_limit_that_is_exceeded_kills_and_counts(cgroup: Cgroup) -> None:
    """A process that takes more than its limit dies by SIGKILL, and the group knows that it was for memory."""
    warnings = cgroup.apply({"memory": {"limit": 16 * MIB, "swap": 16 * MIB}})
    assert warnings == []
    assert cgroup.oom_kills() == 0
    assert run_inside(cgroup, "exec dd if=/dev/zero of=/dev/null bs=100M count=1") == -signal.SIGKILL
    assert cgroup.oom_kills() == 1
    usage = cgroup.usage()
    assert usage["memory_limit_bytes"] == 16 * MIB
    assert usage["oom_kills"] == 1


def test_apply_memory_limits_can_be_raised_and_lowered_together(cgroup: Cgroup) -> None:
    """Memory and memory with swap depend on each other, and are written in the order that works."""
    for limit in (64, 256, 32):
        assert cgroup.apply({"memory": {"limit": limit * MIB, "swap": 2 * limit * MIB}}) == []
        assert cgroup.usage()["memory_limit_bytes"] == limit * MIB
    assert cgroup.apply({"memory": {"limit": -1, "swap": -1}}) == []
    assert cgroup.usage()["memory_limit_bytes"] is None


def test_apply_pids_limit_that_is_reached_refuses_the_fork(cgroup: Cgroup) -> None:
    """The fork bomb stops at the limit."""
    assert cgroup.apply({"pids": {"limit": 2}}) == []
    assert run_inside(cgroup, "sleep 9 & sleep 9 & sleep 9 & wait") != 0
    assert cgroup.usage()["pids_limit"] == 2
    cgroup.kill(signal.SIGKILL)
    assert cgroup.apply({"pids": {"limit": -1}}) == []
    assert cgroup.usage()["pids_limit"] is None


def test_apply_cpu_settings_are_what_the_kernel_has(cgroup: Cgroup, layout: Layout) -> None:
    """Quota, period, shares and processors arrive; quota and period can be changed together."""
    assert cgroup.apply({"cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"}}) == []
    assert cgroup.apply({"cpu": {"quota": 2000, "period": 4000}}) == []
    directory = cgroup.directory_of("cpu")
    cpuset = cgroup.directory_of("cpuset")
    assert directory is not None
    assert cpuset is not None
    if layout.version == "v1":
        found = [Path(directory, f"cpu.{name}").read_text().strip() for name in ("shares", "cfs_quota_us")]
        assert found == ["512", "2000"]
    else:
        assert Path(directory, "cpu.max").read_text().strip() == "2000 4000"
    assert Path(cpuset, "cpuset.cpus").read_text().strip() == "0"


@pytest.mark.parametrize(
    ("resources", "number"),
    [
        ({"cpu": {"cpus": "4000"}}, (errno.EINVAL, errno.ERANGE)),
        ({"cpu": {"period": 1}}, (errno.EINVAL,)),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 1, "rate": 1}]}}, (errno.ENODEV,)),
    ],
)
def test_apply_of_a_value_that_the_kernel_refuses_is_an_error(
    cgroup: Cgroup, resources: dict[str, object], number: tuple[int, ...]
) -> None:
    """A wrong value is never dropped in silence, and the error names the file and the value."""
    with pytest.raises(SyscallError) as caught:
        cgroup.apply(resources)
    assert caught.value.errno in number
    assert " = " in caught.value.object


def test_apply_of_what_this_kernel_lacks_is_a_warning(cgroup: Cgroup) -> None:
    """Docker starts the container and tells; so do we, in its words."""
    warnings = cgroup.apply({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]})
    assert len(warnings) == 1
    assert warnings[0].startswith("Your kernel does not support hugetlb limits")


def test_apply_device_rules_hold_in_the_kernel(cgroup: Cgroup) -> None:
    """What is allowed opens, what is not gets EPERM, and only the granted kind of access counts."""
    assert cgroup.apply({"devices": DOCKER_DEVICES}) == []
    null = ": < /dev/null && : > /dev/null"
    zero = "head -c1 /dev/zero > /dev/null && ! (: > /dev/zero) 2> /dev/null"
    full = "! (: < /dev/full) 2> /dev/null"
    for script in (null, zero, full):
        assert run_inside(cgroup, script) == 0, script


def test_freeze_stops_and_thaw_lets_go_on(cgroup: Cgroup) -> None:
    """A counting process makes no progress while the group is frozen."""
    read, write = os.pipe()
    process = subprocess.Popen(["sh", "-c", "while :; do echo; sleep 0.01; done"], stdout=write)
    os.close(write)
    try:
        cgroup.attach(process.pid)
        os.read(read, 1)
        cgroup.freeze()
        assert cgroup.is_frozen()
        os.set_blocking(read, False)
        _drain(read)
        time.sleep(0.1)  # ten rounds of the process, if it ran
        assert _drain(read) == 0
        cgroup.thaw()
        assert not cgroup.is_frozen()
        os.set_blocking(read, True)
        assert os.read(read, 1) == b"\n"
    finally:
        cgroup.thaw()
        process.kill()
        process.wait()
        os.close(read)


def _drain(fd: int) -> int:
    count = 0
    try:
        while part := os.read(fd, 65536):
            count += len(part)
    except BlockingIOError:
        pass
    return count


def test_kill_reaches_every_process_of_the_group_and_below(layout: Layout, cgroup: Cgroup) -> None:
    """Those that fork without end are all gone in one call, and so are those of a group below."""
    below = layout.open(f"{cgroup.path}/below")
    if layout.version == "v1":
        layout.create(below.path)
    else:  # created by us it would get controllers, and the group no processes of its own beside it
        os.mkdir(below.main_directory())
    processes = [subprocess.Popen(["sh", "-c", "while :; do sleep 0.01 & done"]) for _ in range(3)]
    deep = subprocess.Popen(["sleep", "600"])
    try:
        for process in processes:
            cgroup.attach(process.pid)
        below.attach(deep.pid)
        assert deep.pid in cgroup.pids()
        cgroup.kill(signal.SIGKILL)
        assert [process.wait(10) for process in (*processes, deep)] == [-signal.SIGKILL] * 4
    finally:
        for process in (*processes, deep):
            process.kill()
            process.wait()


def test_kill_of_a_frozen_group_takes_effect_when_it_is_thawed(
    cgroup: Cgroup, sleeper: subprocess.Popen[bytes]
) -> None:
    """A paused container can be killed."""
    cgroup.attach(sleeper.pid)
    cgroup.freeze()
    cgroup.kill(signal.SIGKILL)
    cgroup.thaw()
    assert sleeper.wait(10) == -signal.SIGKILL


def test_remove_of_a_group_in_use_is_ebusy_and_of_a_missing_one_is_quiet(
    layout: Layout, cgroup: Cgroup, sleeper: subprocess.Popen[bytes]
) -> None:
    """Nothing is killed by accident, and removing twice is no error."""
    cgroup.attach(sleeper.pid)
    begun = time.monotonic()
    with pytest.raises(SyscallError) as caught:
        cgroup.remove_nowait()
    assert caught.value.errno == errno.EBUSY
    assert time.monotonic() - begun < 0.1
    with pytest.raises(SyscallError) as caught:
        cgroup.remove()
    assert (caught.value.syscall, caught.value.errno) == ("rmdir", errno.EBUSY)
    sleeper.kill()
    sleeper.wait()
    cgroup.remove()
    assert not cgroup.exists()
    cgroup.remove()
    layout.create(cgroup.path)


def test_create_over_a_leftover_group_starts_afresh(layout: Layout, cgroup: Cgroup) -> None:
    """The limits of a container that crashed do not come back with its name."""
    cgroup.apply({"pids": {"limit": 5}})
    again = layout.create(cgroup.path)
    assert again.usage()["pids_limit"] is None


def test_create_over_a_group_in_use_is_ebusy(layout: Layout, cgroup: Cgroup, sleeper: subprocess.Popen[bytes]) -> None:
    """Two containers never share a group by mistake."""
    cgroup.attach(sleeper.pid)
    with pytest.raises(SyscallError) as caught:
        layout.create(cgroup.path)
    assert caught.value.errno == errno.EBUSY


def test_rename_keeps_processes_and_limits(layout: Layout, cgroup: Cgroup, sleeper: subprocess.Popen[bytes]) -> None:
    """A group that was kept ready with its process becomes the container's, in every hierarchy."""
    cgroup.attach(sleeper.pid)
    new = f"/{leaks.CGROUP_PREFIX}/renamed"
    if layout.version == "v2":
        with pytest.raises(Unsupported):
            cgroup.rename(new)
        return
    old = cgroup.path
    cgroup.apply({"pids": {"limit": 7}})
    cgroup.rename(new)
    assert cgroup.path == new
    assert cgroup.pids() == [sleeper.pid]
    assert cgroup.usage()["pids_limit"] == 7
    assert not layout.open(old).exists()
    lines = Path(f"/proc/{sleeper.pid}/cgroup").read_text().splitlines()
    assert all(line.endswith(new) for line in lines if not line.startswith("0::"))


def test_rename_to_a_taken_name_changes_nothing(layout: Layout, cgroup: Cgroup) -> None:
    """When the name is taken, the group keeps its own in every hierarchy."""
    if layout.version == "v2":
        pytest.skip("version 2 has no rename")
    taken = layout.create(f"/{leaks.CGROUP_PREFIX}/taken")
    last = taken.directories()[:-1]
    for directory in last:
        os.rmdir(directory)  # so that only the last hierarchy refuses
    try:
        with pytest.raises(SyscallError) as caught:
            cgroup.rename(taken.path)
        assert caught.value.errno == errno.EEXIST
        assert all(os.path.isdir(directory) for directory in cgroup.directories())
    finally:
        taken.remove()


def test_rename_to_another_parent_is_refused(layout: Layout, cgroup: Cgroup) -> None:
    """The kernel only renames under one parent; the sentence says so."""
    if layout.version == "v2":
        pytest.skip("version 2 has no rename")
    with pytest.raises(InvalidArgument) as caught:
        cgroup.rename("/elsewhere")
    assert caught.value.why == "the parent must stay the same"


@pytest.mark.parametrize("path", ["", "/", "relative", "/a/../b", "/a//b", "/a/./b", "/a/"])
def test_open_of_a_path_that_leads_elsewhere_is_refused(layout: Layout, path: str) -> None:
    """No request can reach a group outside its place."""
    with pytest.raises(InvalidArgument):
        layout.open(path)


def test_usage_of_a_busy_group_counts_its_time(cgroup: Cgroup) -> None:
    """Processor time is counted in nanoseconds, in sum and for user and system."""
    assert run_inside(cgroup, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done") == 0
    usage = cgroup.usage()
    assert usage["cpu_ns"] > 10_000_000
    assert sum(usage["per_cpu_ns"]) in (0, usage["cpu_ns"])
    assert usage["pids"] == 0


def test_usage_of_a_missing_group_is_zero(layout: Layout) -> None:
    """Statistics of a container that has just gone are no error."""
    usage = layout.open(f"/{leaks.CGROUP_PREFIX}/never").usage()
    assert (usage["memory_bytes"], usage["cpu_ns"], usage["io_bytes"], usage["oom_kills"]) == (0, 0, [], 0)


def test_group_of_a_cloned_child_needs_no_second_wait(cgroup: Cgroup) -> None:
    """A child that was attached ahead of time is in the group when it executes its program."""
    hold = os.pipe()
    pid, descriptor = clone.clone3(0)
    if pid == 0:
        os.close(hold[1])
        os.read(hold[0], 1)
        os._exit(0)
    assert descriptor is not None
    with descriptor:
        cgroup.attach(pid)
        assert cgroup.pids() == [pid]
        os.close(hold[0])
        os.close(hold[1])
        assert pidfd.wait_exit(descriptor, 10)
        os.waitpid(pid, 0)


def test_apply_of_a_hugetlb_limit_uses_the_tree_that_has_it(cgroup: Cgroup, layout: Layout) -> None:
    """On a hybrid machine the group gets its place in the cgroup2 tree when a limit needs it, with its processes."""
    sizes = sorted(path.name for path in Path("/sys/kernel/mm/hugepages").glob("hugepages-2048kB"))
    if "hugetlb" not in layout.controllers or not sizes:
        pytest.skip("no hugetlb controller, or no pages of 2 MB, on this machine")
    process = subprocess.Popen(["sleep", "600"])
    try:
        cgroup.attach(process.pid)
        assert cgroup.apply({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}) == []
        if layout.is_hybrid and layout.unified is not None and "hugetlb" not in layout.roots():
            place = Path(layout.unified + cgroup.path)
            assert (place / "hugetlb.2MB.max").read_text().strip() == str(4 * MIB)
            assert (place / "cgroup.procs").read_text().split() == [str(process.pid)]
            with pytest.raises(Unsupported):
                cgroup.rename(f"/{leaks.CGROUP_PREFIX}/other")
    finally:
        process.kill()
        process.wait()


def test_remove_nowait_takes_empty_groups_below_with_it(layout: Layout, cgroup: Cgroup) -> None:
    """What a container made below its group goes without waiting."""
    layout.create(f"{cgroup.path}/a/b")
    cgroup.remove_nowait()
    assert not any(os.path.exists(directory) for directory in cgroup.directories())
    layout.create(cgroup.path)


def test_create_prepares_the_parent_so_that_the_next_cpuset_needs_no_writes(layout: Layout, cgroup: Cgroup) -> None:
    """On version 1 the parent hands its processors down by itself, once a group was made below it."""
    if layout.version == "v2":
        pytest.skip("version 2 has no such need")
    parent = Path(layout.roots()["cpuset"], leaks.CGROUP_PREFIX)
    assert (parent / "cgroup.clone_children").read_text().strip() == "1"
    place = cgroup.directory_of("cpuset")
    assert place is not None
    assert Path(place, "cpuset.cpus").read_text().strip() == (parent / "cpuset.cpus").read_text().strip() != ""


def test_freeze_of_processes_that_fork_without_end_succeeds(cgroup: Cgroup) -> None:
    """A busy container can be paused, again and again."""
    processes = [subprocess.Popen(["sh", "-c", "while :; do sleep 0.001; done"]) for _ in range(4)]
    try:
        for process in processes:
            cgroup.attach(process.pid)
        for _ in range(20):
            cgroup.freeze()
            assert cgroup.is_frozen()
            cgroup.thaw()
            time.sleep(0.01)  # some rounds of the processes
    finally:
        cgroup.kill(signal.SIGKILL)
        for process in processes:
            process.wait()
