"""Version 2 on the machine's real cgroup2 mount, even where (hybrid layout) it has next to no controllers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from shoal.errors import SyscallError, Unsupported
from shoal.linux.cgroups import Layout, bpf
from shoal.linux.cgroups.v2 import V2Cgroup
from shoal.linux.fd import Fd
from tests.kernel import leaks
from tests.kernel.child import run_in_child

pytestmark = pytest.mark.root


@pytest.fixture
def group(layout: Layout) -> Iterator[V2Cgroup]:
    """A new group of version 2."""
    if layout.unified is None:
        pytest.skip("no cgroup2 on this machine")
    group = V2Cgroup(f"/{leaks.CGROUP_PREFIX}/two", layout.unified)
    group.create()
    yield group
    group.kill(signal.SIGKILL)
    group.remove()
    V2Cgroup(f"/{leaks.CGROUP_PREFIX}", layout.unified).remove()


def refusals(group: V2Cgroup, paths: list[tuple[str, int]]) -> object:
    """The errno (0: none) of opening each path with its flags, by a child that starts in the group."""

    def inside() -> object:
        found = []
        for path, flags in paths:
            try:
                os.close(os.open(path, flags))
                found.append(0)
            except OSError as error:
                found.append(error.errno or -1)
        return found

    with group.directory_fd() as directory:
        return run_in_child(inside, into_cgroup=directory)


PROBES = [
    ("/dev/null", os.O_RDWR),
    ("/dev/zero", os.O_RDONLY),
    ("/dev/zero", os.O_RDWR),
    ("/dev/full", os.O_RDONLY),
]


def test_device_program_allows_and_denies_as_the_rules_say(group: V2Cgroup) -> None:
    """The program in the kernel decides by kind, numbers and access."""
    deny_all = {"allow": False, "access": "rwm"}
    null = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}
    zero = {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}
    assert refusals(group, PROBES) == [0, 0, 0, 0]
    group.apply({"devices": [deny_all, null, zero]})
    assert refusals(group, PROBES) == [0, 0, 1, 1]


def test_device_program_of_an_update_replaces_the_one_before(group: V2Cgroup) -> None:
    """Rules do not pile up: behind an update only the new ones count, and one program is attached."""
    group.apply({"devices": [{"allow": False, "access": "rwm"}]})
    assert refusals(group, PROBES) == [1, 1, 1, 1]
    group.apply(
        {"devices": [{"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 1, "access": "w"}]}
    )
    assert refusals(group, PROBES) == [1, 0, 1, 0]
    with Fd(os.open(group.directories()[0], os.O_RDONLY)) as directory:
        assert len(bpf.attached_programs(directory)) == 1


def test_device_program_that_is_none_is_refused_with_the_verifier_s_words(group: V2Cgroup) -> None:
    """A program that the kernel does not take is told with its reason."""
    with pytest.raises(SyscallError) as caught:
        bpf.load_device_program(bytes(16))
    assert caught.value.syscall == "bpf"
    assert "(" in caught.value.why
    assert group.exists()


def test_kill_of_a_group_ends_all_in_one_step(group: V2Cgroup) -> None:
    """cgroup.kill reaches the group and those below it."""
    process = subprocess.Popen(["sleep", "600"])
    group.attach(process.pid)
    assert group.is_populated()
    group.kill(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert not group.is_populated()


def test_kill_with_another_signal_reaches_each_process(group: V2Cgroup) -> None:
    """SIGTERM goes to all processes of the group."""
    processes = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    for process in processes:
        group.attach(process.pid)
    group.kill(signal.SIGTERM)
    assert [process.wait(10) for process in processes] == [-signal.SIGTERM] * 3


def test_freeze_and_thaw_are_seen_in_the_events(group: V2Cgroup) -> None:
    """freeze returns when the kernel says that all have stopped."""
    process = subprocess.Popen(["sleep", "600"])
    group.attach(process.pid)
    group.freeze()
    assert group.is_frozen()
    group.thaw()
    assert not group.is_frozen()
    group.kill(signal.SIGKILL)
    process.wait()


def test_rename_of_a_group_of_version_2_is_told_to_be_impossible(group: V2Cgroup) -> None:
    """The error says what to do instead."""
    with pytest.raises(Unsupported) as caught:
        group.rename("/x")
    assert caught.value.fix == "clone the process into its cgroup"


def test_remove_takes_empty_groups_below_with_it(group: V2Cgroup) -> None:
    """A container that made groups of its own leaves none."""
    top = group.directories()[0]
    os.makedirs(f"{top}/a/b")
    group.remove()
    assert not os.path.exists(top)
    os.mkdir(top)  # for the fixture
