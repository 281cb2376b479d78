"""A container's root from overlay to pivot_root, with an image that tries to get out."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import Forbidden, SyscallError
from shoal.linux import devices, filesystems, mounts, rootfs, sysctl
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNS
from shoal.linux.overlay import mount_overlay
from tests.kernel.child import CONTAINER, run_in_child
from tests.kernel.linux.places import mount_options, place, refusal

pytestmark = pytest.mark.root


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A hostile image beside a secret: its dev, proc and etc/hosts are links that lead out of it."""
    (tmp_path / "secret").write_text("host")
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (layer / "etc" / "hosts").symlink_to("../../../secret")
    (layer / "dev").symlink_to("../../../../../srv/dev")
    (layer / "proc").symlink_to(f"{tmp_path}")
    for name in ("upper", "work", "mnt"):
        (tmp_path / name).mkdir()
    return tmp_path


def make_root(image: Path) -> Fd:
    """The overlay of the image, mounted in this namespace."""
    with place(image / "mnt") as target:
        return mount_overlay(target, lower=[str(image / "layer")], upper=str(image / "upper"), work=str(image / "work"))


def test_setup_of_a_hostile_image_touches_nothing_of_the_host(image: Path) -> None:
    """Devices, mounts and files of the set-up all land inside, wherever the image's links point."""

    def inside() -> object:
        root = make_root(image)
        with rootfs.mkdir_in_root(root, "/proc") as target:
            filesystems.mount_filesystem("proc", target)
        devices.make_device(root, "/dev/null", "c", 1, 3)
        with rootfs.create_file_in_root(root, "/etc/hosts") as target:
            mounts.bind_mount("/etc/hostname", target)
        rootfs.pivot_into(root)
        return sorted(os.listdir("/")), os.path.exists("/dev/null")

    host_null = os.stat("/dev/null")
    found = run_in_child(inside, CONTAINER)
    assert isinstance(found, tuple)
    assert "secret" in found[0]  # the file that /etc/hosts names, made inside
    assert (image / "secret").read_text() == "host"
    assert os.stat("/dev/null").st_ctime_ns == host_null.st_ctime_ns
    assert not (image / "self").exists()


def test_pivot_into_leaves_no_way_back(image: Path) -> None:
    """Behind it neither a path, nor "..", nor the mount table shows the host."""

    def inside() -> object:
        root = make_root(image)
        with rootfs.mkdir_in_root(root, "/sys/proc") as target:
            filesystems.mount_filesystem("proc", target)
        rootfs.pivot_into(root)
        table = Path("/sys/proc/self/mountinfo").read_text().splitlines()
        return os.getcwd(), os.path.exists(str(image)), sorted(line.split(" ")[4] for line in table), os.listdir("..")

    cwd, visible, points, above = run_in_child(inside, CONTAINER)  # type: ignore[misc]
    assert cwd == "/"
    assert not visible
    assert points == ["/", "/sys/proc"]
    assert "etc" in above


def test_pivot_into_what_is_no_mount_is_refused(tmp_path: Path) -> None:
    """A plain directory can't become the root: busy on the root's own mount, invalid on another one."""

    def inside() -> None:
        with place(tmp_path) as root:
            rootfs.pivot_into(root)

    with pytest.raises(SyscallError) as caught:
        run_in_child(inside, CLONE_NEWNS)
    assert caught.value.syscall == "pivot_root"
    assert caught.value.errno in {errno.EBUSY, errno.EINVAL}


def test_mask_path_hides_files_and_directories_and_ignores_missing_ones(tmp_path: Path) -> None:
    """A masked file reads as empty, a masked directory is empty and can't be written."""
    (tmp_path / "keys").write_text("secret")
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "blob").touch()

    def inside() -> object:
        for name in ("keys", "firmware", "missing", "keys/below"):
            rootfs.mask_path(str(tmp_path / name))
        return (
            (tmp_path / "keys").read_text(),
            os.listdir(tmp_path / "firmware"),
            refusal(tmp_path / "firmware" / "x"),
        )

    assert run_in_child(inside, CLONE_NEWNS) == ("", [], errno.EROFS)


def test_readonly_path_covers_what_is_mounted_below_and_ignores_missing_ones(tmp_path: Path) -> None:
    """Neither the path nor a mount below it can be written."""
    (tmp_path / "sys" / "net").mkdir(parents=True)

    def inside() -> object:
        with place(tmp_path / "sys" / "net") as target:
            filesystems.mount_filesystem("tmpfs", target, attrs=mounts.MOUNT_ATTR_NOSUID)
        for name in ("sys", "missing"):
            rootfs.readonly_path(str(tmp_path / name))
        kept = "nosuid" in mount_options(tmp_path / "sys" / "net")
        return refusal(tmp_path / "sys" / "x"), refusal(tmp_path / "sys" / "net" / "x"), kept

    assert run_in_child(inside, CLONE_NEWNS) == (errno.EROFS, errno.EROFS, True)


def test_open_in_root_refuses_magic_links(tmp_path: Path) -> None:
    """/proc/self/exe and /proc/PID/root inside a root can't be used to jump out of it."""
    (tmp_path / "proc").mkdir()

    def inside() -> object:
        with place(tmp_path / "proc") as target:
            filesystems.mount_filesystem("proc", target)
        with place(tmp_path) as root:
            try:
                rootfs.open_in_root(root, "/proc/self/root/etc", os.O_PATH)
            except SyscallError as error:
                return error.errno
        return 0

    assert run_in_child(inside, CONTAINER) == errno.ELOOP


def test_open_by_walk_takes_magic_links_for_names_inside(tmp_path: Path) -> None:
    """The walk reads a magic link as text, so it finds what has that name inside, or nothing."""
    (tmp_path / "proc").mkdir()

    def inside() -> object:
        with place(tmp_path / "proc") as target:
            filesystems.mount_filesystem("proc", target)
        with place(tmp_path) as root:
            try:
                rootfs.open_by_walk(root, "/proc/self/root/etc", os.O_PATH)
            except SyscallError as error:
                return error.errno
        return 0

    assert run_in_child(inside, CONTAINER) == errno.ENOENT


def test_mask_path_with_a_null_that_is_none_is_refused(tmp_path: Path) -> None:
    """An image can't make the mask a writable mount of a file of its choice."""
    for name in ("dev", "proc"):
        (tmp_path / name).mkdir()
    (tmp_path / "dev" / "null").symlink_to("/proc/sys/kernel/core_pattern")

    def inside() -> None:
        with place(tmp_path) as target:
            root = mounts.bind_mount(str(tmp_path), target)
        with rootfs.mkdir_in_root(root, "/proc") as target:
            filesystems.mount_filesystem("proc", target)
        rootfs.pivot_into(root)
        rootfs.mask_path("/proc/version")

    with pytest.raises(Forbidden) as caught:
        run_in_child(inside, CONTAINER)
    assert caught.value.what == "the container's /dev/null is not the null device"


def test_write_sysctl_changes_only_the_namespace(tmp_path: Path) -> None:
    """A parameter of the ipc namespace is set inside, and not on the host."""
    before = sysctl.read_sysctl("kernel.msgmax")

    def inside() -> object:
        sysctl.write_sysctl("kernel.msgmax", "4242")
        return sysctl.read_sysctl("kernel.msgmax")

    assert run_in_child(inside, CLONE_NEWIPC) == "4242"
    assert sysctl.read_sysctl("kernel.msgmax") == before
    assert tmp_path


@pytest.mark.parametrize("mounted", ["file", "directory", "proc"])
def test_write_sysctl_through_a_mount_in_the_way_is_refused(tmp_path: Path, mounted: str) -> None:
    """A volume over a part of /proc can't catch the write, nor divert it."""
    (tmp_path / "msgmax").touch()
    (tmp_path / "sys" / "kernel").mkdir(parents=True)
    (tmp_path / "sys" / "kernel" / "msgmax").touch()
    where, what = {
        "file": ("/proc/sys/kernel/msgmax", tmp_path / "msgmax"),
        "directory": ("/proc/sys/kernel", tmp_path),
        "proc": ("/proc", tmp_path),
    }[mounted]

    def inside() -> None:
        with place(where) as target:
            mounts.bind_mount(str(what), target)
        sysctl.write_sysctl("kernel.msgmax", "4242")

    with pytest.raises((SyscallError, Forbidden)) as caught:
        run_in_child(inside, CLONE_NEWNS | CLONE_NEWIPC)
    if mounted == "proc":
        assert str(caught.value) == "cannot set /proc/sys/kernel/msgmax: /proc is not the proc file system"
    else:
        assert str(caught.value) == "open `/proc/sys/kernel/msgmax`: invalid cross-device link"
    assert (tmp_path / "msgmax").read_text() == ""
