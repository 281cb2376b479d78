"""The leak check itself: it must see each kind of thing that a test can leave behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.linux import filesystems, mounts, namespaces
from shoal.linux.cgroups import detect
from tests.kernel import leaks
from tests.kernel.child import run_in_child
from tests.kernel.linux.places import place

pytestmark = pytest.mark.root


def left_by(act: Callable[[], object], directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the check says about `act`, with next to no time of grace."""
    monkeypatch.setattr(leaks, "GRACE_S", 0.05)
    check = leaks.LeakCheck(str(directory))
    act()
    return check.left()


def test_leak_check_sees_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that stays open is named with its path."""
    opened = []
    left = left_by(lambda: opened.append(os.open(tmp_path, os.O_RDONLY)), tmp_path, monkeypatch)
    os.close(opened[0])
    assert left == [f"descriptor {opened[0]} -> {tmp_path}"]


def test_leak_check_sees_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount below the test's directory is seen."""

    def act() -> None:
        with place(tmp_path) as target:
            filesystems.mount_filesystem("tmpfs", target).close()

    left = left_by(act, tmp_path, monkeypatch)
    mounts.umount2(str(tmp_path))
    assert len(left) == 1
    assert str(tmp_path) in left[0]


def test_leak_check_sees_a_process_and_its_orphans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that a test's process left behind comes to us, and is seen."""
    command = ["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"]
    started: list[str] = []
    left = left_by(lambda: started.append(subprocess.check_output(command, text=True)), tmp_path, monkeypatch)
    pid = int(started[0])
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert left == [f"process {pid} sleep"]


def test_leak_check_leaves_out_an_engine_that_the_session_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes and goes below it is no test's; it is told by the directory in its command line."""
    command = ["sh", "-c", "read line", "/tmp/shoald-elsewhere"]
    started: list[subprocess.Popen[bytes]] = []
    # Kept by this test itself: standard input must stay open until the check has looked.
    gate, open_end = os.pipe()
    left = left_by(lambda: started.append(subprocess.Popen(command, stdin=gate)), tmp_path, monkeypatch)
    os.close(gate)
    os.close(open_end)
    started[0].wait()
    assert left == []


def test_leak_check_sees_a_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group with this process's name is seen in every hierarchy, and purged."""
    layout = detect()
    left = left_by(lambda: layout.create(f"/{leaks.CGROUP_PREFIX}"), tmp_path, monkeypatch)
    leaks.purge_cgroups()
    assert len(left) == max(len(layout.mounts), 1)
    assert not leaks.cgroups()


def test_leak_check_sees_a_namespace_that_was_not_left(tmp_path: Path) -> None:
    """A test that forgets to come back from a namespace is told."""

    def inside() -> object:
        check = leaks.LeakCheck(str(tmp_path))
        namespaces.unshare(namespaces.CLONE_NEWUTS)
        leaks.GRACE_S = 0.05
        return [line.split()[1] for line in check.left() if line.startswith("namespace")]

    assert run_in_child(inside) == ["uts"]
