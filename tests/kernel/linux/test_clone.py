"""clone3, its fallback, and the eight namespaces."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from pathlib import Path

import pytest

from shoal.errors import SyscallError, Unsupported
from shoal.linux import clone, namespaces, pidfd, procfs
from shoal.linux.cgroups import Layout
from shoal.linux.cgroups.v2 import V2Cgroup
from shoal.linux.fd import Fd
from tests.kernel import leaks
from tests.kernel.child import run_in_child

pytestmark = pytest.mark.root


def test_clone3_child_that_exits_gives_its_status_through_the_pidfd() -> None:
    """The parent gets a pid and a pidfd that becomes readable with the child's end."""
    pid, descriptor = clone.clone3(0)
    if pid == 0:
        os._exit(7)
    assert descriptor is not None
    with descriptor:
        assert pidfd.wait_exit(descriptor, 10)
        assert not pidfd.is_alive(descriptor)
        assert os.waitpid(pid, 0)[1] == 7 << 8


def test_clone3_pidfd_is_close_on_exec() -> None:
    """No program that a later child executes can hold the pidfd."""
    pid, descriptor = clone.clone3(0)
    if pid == 0:
        os._exit(0)
    assert descriptor is not None
    with descriptor:
        assert not os.get_inheritable(descriptor.fileno())
        os.waitpid(pid, 0)


@pytest.mark.parametrize("name", [name for name in namespaces.FLAGS if name != "time"])
def test_clone3_with_a_namespace_flag_puts_the_child_into_a_new_one(name: str) -> None:
    """Each flag makes exactly its namespace new; the others stay the parent's."""
    inside = run_in_child(
        lambda: {each: os.stat(f"/proc/self/ns/{each}").st_ino for each in namespaces.FLAGS}, namespaces.FLAGS[name]
    )
    assert isinstance(inside, dict)
    outside = {each: namespaces.namespace_id("self", each) for each in namespaces.FLAGS}
    assert {each for each in outside if inside[each] != outside[each]} == {name}


def test_clone3_with_a_time_namespace_shifts_the_clocks_of_the_child() -> None:
    """Offsets written before the first process enters move its monotonic clock."""

    def outer() -> object:
        namespaces.unshare(namespaces.CLONE_NEWTIME)
        namespaces.write_time_offsets("self", {"monotonic": (86400, 0)})
        before = time.monotonic()
        after = run_in_child(time.monotonic)
        assert isinstance(after, float)
        return after - before

    difference = run_in_child(outer)
    assert isinstance(difference, float)
    assert 86400 <= difference < 86460


def test_clone_legacy_does_what_clone3_does() -> None:
    """Where a seccomp filter hides clone3, clone gives the same: a child, its namespaces, a pidfd."""
    slot = ctypes.c_int(-1)
    pid = clone.clone_legacy(clone.CLONE_PIDFD | namespaces.CLONE_NEWUTS, signal.SIGCHLD, slot)
    if pid == 0:
        os._exit(3)
    with Fd(slot.value) as descriptor:
        assert pidfd.wait_exit(descriptor, 10)
        assert os.waitpid(pid, 0)[1] == 3 << 8


def test_clone3_hidden_by_a_filter_falls_back_to_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSYS from clone3 is no failure as long as clone can do it."""
    monkeypatch.setattr(clone, "SYS_clone3", 9999)
    assert run_in_child(lambda: "done", namespaces.CLONE_NEWUTS) == "done"


def test_clone3_hidden_by_a_filter_says_so_when_only_it_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time namespace can't be asked from clone; the error names the cause."""
    monkeypatch.setattr(clone, "SYS_clone3", 9999)
    with pytest.raises(Unsupported) as caught:
        clone.clone3(namespaces.CLONE_NEWTIME)
    assert str(caught.value) == "clone3 is not available: the kernel or a seccomp filter refuses it (ENOSYS)"


def test_clone3_with_impossible_flags_tells_the_system_call_and_the_errno() -> None:
    """The kernel's refusal comes as a SyscallError of clone3."""
    with pytest.raises(SyscallError) as caught:
        clone.clone3(namespaces.CLONE_NEWUSER | 0x200)  # CLONE_FS: the namespace can't share its root
    assert (caught.value.syscall, caught.value.errno) == ("clone3", errno.EINVAL)


def test_clone3_into_cgroup_starts_the_child_inside(layout: Layout) -> None:
    """With cgroup2 the child is in the group from its first instruction on."""
    if layout.unified is None:
        pytest.skip("no cgroup2 on this machine")
    group = V2Cgroup(f"/{leaks.CGROUP_PREFIX}/into", layout.unified)
    group.create()
    try:
        with group.directory_fd() as directory:
            lines = run_in_child(lambda: Path("/proc/self/cgroup").read_text(), into_cgroup=directory)
        assert f"0::{group.path}\n" in str(lines)
    finally:
        group.remove()
        V2Cgroup(f"/{leaks.CGROUP_PREFIX}", layout.unified).remove()


def test_write_user_maps_makes_root_inside_of_another_user_outside() -> None:
    """The child is uid 0 in its namespace and uid 100000 on the host."""
    ready, go = os.pipe(), os.pipe()
    pid, descriptor = clone.clone3(namespaces.CLONE_NEWUSER)
    if pid == 0:
        os.close(go[1])
        os.read(go[0], 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.write(ready[1], f"{os.getuid()} {os.getgid()}".encode())
        os.read(go[0], 1)
        os._exit(0)
    assert descriptor is not None
    try:
        namespaces.write_user_maps(pid, [(0, 100000, 65536)], [(0, 200000, 65536)])
        os.write(go[1], b"1")
        assert os.read(ready[0], 100) == b"0 0"
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t100000\t" in status
        assert "Gid:\t200000\t" in status
    finally:
        for number in (*ready, *go):
            os.close(number)
        os.waitpid(pid, 0)
        descriptor.close()


def test_setns_with_a_pidfd_joins_several_namespaces_at_once() -> None:
    """One setns on a pidfd enters the host name and the ipc namespace of a process."""
    hold = os.pipe()
    pid, descriptor = clone.clone3(namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
    if pid == 0:
        os.close(hold[1])
        os.read(hold[0], 1)
        os._exit(0)
    assert descriptor is not None
    try:
        wanted = [namespaces.namespace_id(pid, name) for name in ("uts", "ipc")]

        def join() -> object:
            namespaces.setns(descriptor, namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
            return [namespaces.namespace_id("self", name) for name in ("uts", "ipc")]

        assert run_in_child(join) == wanted
    finally:
        os.close(hold[0])
        os.close(hold[1])
        os.waitpid(pid, 0)
        descriptor.close()


def test_setns_with_another_kind_of_namespace_is_refused() -> None:
    """The flag guards against a descriptor of the wrong kind."""
    with namespaces.namespace_fd("self", "uts") as descriptor, pytest.raises(SyscallError) as caught:
        namespaces.setns(descriptor, namespaces.CLONE_NEWNET)
    assert str(caught.value) == "setns `net`: invalid argument"


def test_exit_status_of_a_reaped_process_comes_from_the_kernel() -> None:
    """From Linux 6.15 on a pidfd tells how its process ended even when another one has waited for it."""
    pid, descriptor = clone.clone3(0)
    if pid == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    assert descriptor is not None
    with descriptor:
        assert pidfd.wait_exit(descriptor, 10)
        os.waitpid(pid, 0)
        release = tuple(int(part) for part in os.uname().release.split(".")[:2])
        expected = signal.SIGKILL if release >= (6, 15) else None
        assert pidfd.exit_status(descriptor) == expected
        assert pidfd.pid_of(descriptor) is None


@pytest.mark.parametrize(("end", "expected"), [(7, 7 << 8), (-signal.SIGKILL, signal.SIGKILL)])
def test_zombie_exit_status_is_there_before_anybody_reaps(end: int, expected: int) -> None:
    """What ended and waits for its parent shows its status in /proc; neither a running nor a reaped process does."""
    pid, descriptor = clone.clone3(0)
    if pid == 0:
        time.sleep(0.05)
        if end < 0:
            os.kill(os.getpid(), -end)
        os._exit(end)
    assert descriptor is not None
    with descriptor:
        started = procfs.start_time_ticks(pid)
        running = procfs.zombie_exit_status(pid, started)
        assert pidfd.wait_exit(descriptor, 10)
        zombie, another = procfs.zombie_exit_status(pid, started), procfs.zombie_exit_status(pid, started + 1)
        os.waitpid(pid, 0)
    assert (running, zombie, another) == (None, expected, None)
    assert procfs.zombie_exit_status(pid, started) is None
