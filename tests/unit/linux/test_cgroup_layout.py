"""How control groups are mounted: the layouts that machines have, read from their mount tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.linux.cgroups.layout import Layout, detect, parse_mountinfo
from shoal.linux.cgroups.v1 import V1Cgroup
from shoal.linux.cgroups.v2 import V2Cgroup

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"
V1 = """\
31 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
35 31 0:30 / /mnt/again rw - cgroup cgroup rw,memory
36 31 0:31 / /sys/fs/cgroup/with\\040space rw - cgroup cgroup rw,pids"""


def test_parse_version_2_alone() -> None:
    """One cgroup2 mount, optional fields and all."""
    assert parse_mountinfo(V2) == ({}, "/sys/fs/cgroup")


def test_parse_version_1_with_controllers_that_share_a_hierarchy() -> None:
    """Shared hierarchies, named ones, a second mount of one, and escaped paths are told apart."""
    mounts, unified = parse_mountinfo(V1)
    assert unified is None
    assert mounts == {
        "/sys/fs/cgroup/systemd": ("name=systemd",),
        "/sys/fs/cgroup/cpu,cpuacct": ("cpu", "cpuacct"),
        "/sys/fs/cgroup/memory": ("memory",),
        "/sys/fs/cgroup/with space": ("pids",),
    }


def test_parse_takes_a_mount_point_with_line_ends_of_unicode() -> None:
    """The kernel escapes the newline only; other line ends in a path do not end a line."""
    line = "30 23 0:26 / /mnt/a\x85b\x0cc rw - cgroup2 cgroup2 rw\n"
    assert parse_mountinfo(line) == ({}, "/mnt/a\x85b\x0cc")


def test_layout_of_version_2_has_what_the_kernel_lists(tmp_path: Path) -> None:
    """Freezer and devices need no controller there; what is missing has a reason."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    layout = Layout({}, str(tmp_path))
    assert layout.version == "v2"
    assert not layout.is_hybrid
    assert layout.controllers == ("cpuset", "cpu", "io", "memory", "pids", "devices", "freezer")
    assert layout.reasons == {}
    assert isinstance(layout.open("/shoal/x"), V2Cgroup)


def test_layout_of_version_2_without_a_controller_says_why(tmp_path: Path) -> None:
    """A kernel booted with cgroup_disable=memory is told."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu pids\n")
    assert Layout({}, str(tmp_path)).reasons == {"memory": f"memory is not among the cgroup.controllers of {tmp_path}"}


def test_layout_of_version_1_lists_directories_of_every_hierarchy() -> None:
    """A group has one directory in each hierarchy, and cpu and cpuacct share theirs."""
    mounts, _ = parse_mountinfo(V1)
    layout = Layout(mounts, None)
    assert layout.version == "v1"
    assert layout.reasons["freezer"] == "the freezer hierarchy of cgroup v1 is not mounted"
    group = layout.open("/shoal/x")
    assert isinstance(group, V1Cgroup)
    assert group.directories() == [f"{point}/shoal/x" for point in mounts]
    assert group.directory_of("cpu") == group.directory_of("cpuacct") == "/sys/fs/cgroup/cpu,cpuacct/shoal/x"
    assert group.directory_of("freezer") is None


def test_layout_of_a_hybrid_machine_is_version_1(tmp_path: Path) -> None:
    """The controllers of version 1 count, those of the cgroup2 tree beside it are usable too."""
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    mounts, _ = parse_mountinfo(V1)
    layout = Layout(mounts, str(tmp_path))
    assert (layout.version, layout.is_hybrid) == ("v1", True)
    assert "hugetlb" in layout.controllers


def test_layout_of_systemd_s_hybrid_without_controllers_on_version_1_is_version_2(tmp_path: Path) -> None:
    """A machine that has only the name of systemd on version 1 is one of version 2."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    layout = Layout({"/sys/fs/cgroup/systemd": ("name=systemd",)}, str(tmp_path))
    assert layout.version == "v2"


def test_detect_without_any_cgroup_tells_how_to_mount_them(tmp_path: Path) -> None:
    """The error carries a command."""
    (tmp_path / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    with pytest.raises(Unavailable) as caught:
        detect(str(tmp_path / "mountinfo"))
    assert caught.value.fix == "mount -t cgroup2 cgroup2 /sys/fs/cgroup"


def test_supports_asks_the_files(tmp_path: Path) -> None:
    """On version 1 the top of a hierarchy has the files, on version 2 the groups below it."""
    (tmp_path / "memory.memsw.limit_in_bytes").touch()
    one = Layout({str(tmp_path): ("memory",)}, None)
    assert one.supports("memory", "memory.memsw.limit_in_bytes")
    assert not one.supports("memory", "memory.swappiness")
    assert not one.supports("pids", "pids.max")
    (tmp_path / "cgroup.controllers").write_text("memory")
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "cgroup.controllers").write_text("memory")
    (tmp_path / "group" / "memory.swap.max").touch()
    two = Layout({}, str(tmp_path))
    assert two.supports("memory", "memory.swap.max")
    assert not two.supports("memory", "memory.zswap.max")
    assert not two.supports("cpu", "cpu.max")
