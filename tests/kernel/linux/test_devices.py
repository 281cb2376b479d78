"""Device nodes and the links of /dev."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument
from shoal.linux import devices
from shoal.linux.namespaces import CLONE_NEWNS
from tests.kernel.child import run_in_child
from tests.kernel.linux.places import place, tmpfs

pytestmark = pytest.mark.root


def test_make_default_devices_work_as_the_host_s(tmp_path: Path) -> None:
    """Every node has its numbers and is open for everyone, whatever the umask; null swallows, zero gives zeroes."""

    def inside() -> object:
        tmpfs(tmp_path)
        os.umask(0o077)
        with place(tmp_path) as root:
            devices.make_default_devices(root)
        found = []
        for name, major, minor in devices.DEFAULT_DEVICES:
            status = (tmp_path / "dev" / name).stat()
            found.append(
                stat.S_ISCHR(status.st_mode)
                and stat.S_IMODE(status.st_mode) == 0o666
                and status.st_rdev == os.makedev(major, minor)
            )
        with open(tmp_path / "dev" / "zero", "rb") as zero:
            return all(found), zero.read(3)

    assert run_in_child(inside, CLONE_NEWNS) == (True, bytes(3))


def test_make_device_replaces_what_the_image_brings(tmp_path: Path) -> None:
    """A link at the place of a node is replaced, not followed."""
    (tmp_path / "victim").touch()

    def inside() -> object:
        root_path = tmp_path / "root"
        root_path.mkdir()
        tmpfs(root_path)
        (root_path / "dev").mkdir()
        (root_path / "dev" / "fuse").symlink_to(tmp_path / "victim")
        with place(root_path) as root:
            devices.make_device(root, "/dev/fuse", "c", 10, 229, 0o640, 1000, 2000)
        status = os.lstat(root_path / "dev" / "fuse")
        return stat.S_ISCHR(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid

    assert run_in_child(inside, CLONE_NEWNS) == (True, 0o640, 1000, 2000)
    assert (tmp_path / "victim").stat().st_uid == 0


@pytest.mark.parametrize(("kind", "test"), [("b", stat.S_ISBLK), ("c", stat.S_ISCHR), ("p", stat.S_ISFIFO)])
def test_make_device_of_each_kind(tmp_path: Path, kind: str, test: object) -> None:
    """Block, character and FIFO come out as such."""

    def inside() -> object:
        tmpfs(tmp_path)
        with place(tmp_path) as root:
            devices.make_device(root, "/dev/x", kind, 7, 0)
        return os.lstat(tmp_path / "dev" / "x").st_mode

    mode = run_in_child(inside, CLONE_NEWNS)
    assert callable(test)
    assert test(mode)


def test_make_device_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The sentence names the path and what there is."""
    with place(tmp_path) as root, pytest.raises(InvalidArgument) as caught:
        devices.make_device(root, "/dev/x", "z", 1, 1)
    assert str(caught.value) == "invalid device type 'z' for /dev/x: it is one of c, b, u, p"


def test_default_symlinks_lead_to_proc(tmp_path: Path) -> None:
    """The links that every program expects are there; one of the image's own stays."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "ptmx").symlink_to("own")
    with place(tmp_path) as root:
        devices.default_symlinks(root)
    assert os.readlink(tmp_path / "dev" / "stdin") == "/proc/self/fd/0"
    assert os.readlink(tmp_path / "dev" / "fd") == "/proc/self/fd"
    assert os.readlink(tmp_path / "dev" / "ptmx") == "own"


def test_bind_device_shows_the_host_s_node(tmp_path: Path) -> None:
    """Where mknod is not allowed, a bind mount gives the same device."""

    def inside() -> object:
        with place(tmp_path) as root:
            devices.bind_device(root, "/dev/null", "/dev/null")
        return (tmp_path / "dev" / "null").stat().st_rdev

    assert run_in_child(inside, CLONE_NEWNS) == os.makedev(1, 3)
