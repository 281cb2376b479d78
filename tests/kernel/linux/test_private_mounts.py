"""Threads with mounts of their own: the host's table never shows them, and they go with the thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.linux.fd import Fd
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.namespaces import namespace_id
from shoal.linux.overlay import mount_overlay
from shoal.linux.private_mounts import bare_root_of_process, in_private_mounts, root_of_process
from shoal.linux.procfs import mounted_devices, start_time_ticks

pytestmark = pytest.mark.root


def test_private_mounts_do_not_show_in_the_host(tmp_path: Path) -> None:
    """What is mounted is seen through its descriptor, and not by the process's other threads."""
    table = Path("/proc/self/mountinfo").read_text()

    def work(place: Fd) -> tuple[str, str]:
        with mount_filesystem("tmpfs", place) as tree:
            os.close(os.open("made", os.O_CREAT | os.O_WRONLY, dir_fd=tree.fileno()))
            return ",".join(os.listdir(f"/proc/self/fd/{tree.fileno()}")), Path("/proc/self/mountinfo").read_text()

    before = namespace_id("self", "mnt")
    assert in_private_mounts(str(tmp_path), work) == ("made", table)
    assert os.listdir(tmp_path) == []
    assert namespace_id("self", "mnt") == before


def test_private_mounts_end_when_the_work_fails(tmp_path: Path) -> None:
    """An overlay's upper directory is free again at once, whether the work succeeded or not."""
    for name in ("lower", "upper", "work", "place"):
        (tmp_path / name).mkdir()

    def work(place: Fd) -> None:
        with mount_overlay(
            place,
            lower=[str(tmp_path / "lower")],
            upper=str(tmp_path / "upper"),
            work=str(tmp_path / "work"),
            options=["index=on"],  # with it the kernel refuses a second mount of a busy upper directory
        ):
            raise RuntimeError("the work fails")

    for _ in range(5):
        with pytest.raises(RuntimeError, match="the work fails"):
            in_private_mounts(str(tmp_path / "place"), work)


def test_root_of_process_is_its_own_and_no_successors() -> None:
    """The start time tells a process from a later one of its pid."""
    pid = os.getpid()
    with root_of_process(pid, start_time_ticks(pid)) or Fd(-1) as root:
        assert os.fstat(root.fileno()).st_ino == os.stat("/").st_ino
    assert root_of_process(pid, start_time_ticks(pid) + 1) is None
    assert bare_root_of_process(pid, start_time_ticks(pid) + 1) is None
    assert root_of_process(2**22 + 1, None) is None


def test_bare_root_of_process_shows_what_mounts_hide() -> None:
    """The copy of the root mount has an ordinary directory where /proc is mounted, and shows in no table."""
    table = Path("/proc/self/mountinfo").read_text()
    with bare_root_of_process(os.getpid(), None) or Fd(-1) as root:
        proc = os.stat("proc", dir_fd=root.fileno())
        assert (proc.st_dev, proc.st_ino) != (os.stat("/proc").st_dev, os.stat("/proc").st_ino)
        assert Path("/proc/self/mountinfo").read_text() == table


def test_mounted_devices_finds_file_systems_by_type_and_place() -> None:
    """The numbers are those of stat."""
    found = mounted_devices(os.getpid(), frozenset({"proc"}), ("/dev",))
    assert os.stat("/proc").st_dev in found
    assert os.stat("/dev").st_dev in found
    assert mounted_devices(2**22 + 1, frozenset({"proc"}), ()) == set()
