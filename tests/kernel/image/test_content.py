"""Copying a directory out of an image's layers: what the merged layers show, and nothing of the host."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from shoal.errors import Conflict
from shoal.image.content import ImageDirectory
from shoal.image.whiteouts import make_opaque, make_whiteout
from shoal.linux.fd import Fd
from shoal.oci.rootfs import OverlayRootfs, PlainRootfs

pytestmark = pytest.mark.root


class Layers:
    """Two layers and a container's own one, as directories."""

    def __init__(self, path: Path) -> None:
        self.bottom, self.top, self.upper, self.target = (path / name for name in ("bottom", "top", "upper", "target"))
        for directory in (self.bottom, self.top, self.upper, self.target):
            directory.mkdir()

    @property
    def rootfs(self) -> OverlayRootfs:
        """The root file system made of them."""
        return OverlayRootfs((str(self.top), str(self.bottom)), str(self.upper), "/nowhere")

    def copied(self, path: str = "/data") -> list[str]:
        """Every path below the target, after a copy of `path`."""
        with opened(self.target) as fd:
            ImageDirectory(self.rootfs, path).copy_to(fd.fileno())
        return sorted(str(entry.relative_to(self.target)) for entry in self.target.rglob("*"))


def opened(path: Path) -> Fd:
    """A descriptor of a directory."""
    return Fd(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    """Empty layers."""
    return Layers(tmp_path)


def write(path: Path, text: str = "x") -> None:
    """A file with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_copy_shows_the_merged_layers(layers: Layers) -> None:
    """Upper files win, deleted ones and those below an opaque directory are not copied, nor are the marks."""
    for name in ("both", "deleted", "below", "hidden/x", "dir/one"):
        write(layers.bottom / "data" / name, "bottom")
    for name in ("both", "dir/two", "hidden/y"):
        write(layers.top / "data" / name, "top")
    with opened(layers.top / "data") as fd:
        make_whiteout(fd.fileno(), b"deleted")
    with opened(layers.top / "data/hidden") as fd:
        make_opaque(fd.fileno())
    assert layers.copied() == ["below", "both", "dir", "dir/one", "dir/two", "hidden", "hidden/y"]
    assert (layers.target / "both").read_text() == "top"
    assert not [name for name in os.listxattr(layers.target / "hidden") if "opaque" in name]


def test_copy_keeps_attributes(layers: Layers) -> None:
    """Owner, mode with set-uid, time, xattrs, links, devices; of the directory itself too."""
    write(layers.bottom / "data/file")
    os.chown(layers.bottom / "data/file", 5, 6)
    os.chmod(layers.bottom / "data/file", 0o4711)
    os.utime(layers.bottom / "data/file", ns=(7, 7))
    os.setxattr(layers.bottom / "data/file", "user.note", b"kept")
    os.link(layers.bottom / "data/file", layers.bottom / "data/again")
    os.symlink("/etc/passwd", layers.bottom / "data/link")
    os.mknod(layers.bottom / "data/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(layers.bottom / "data/null", 0o666)
    os.chown(layers.bottom / "data", 8, 9)
    os.chmod(layers.bottom / "data", 0o1750)
    assert layers.copied() == ["again", "file", "link", "null"]
    status = os.stat(layers.target / "file")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (5, 6, 0o4711)
    assert (status.st_mtime_ns, status.st_nlink) == (7, 2)
    assert os.getxattr(layers.target / "file", "user.note") == b"kept"
    assert os.readlink(layers.target / "link") == "/etc/passwd"
    device = os.stat(layers.target / "null")
    assert (device.st_rdev, stat.S_IMODE(device.st_mode)) == (os.makedev(1, 3), 0o666)
    itself = os.stat(layers.target)
    assert (itself.st_uid, itself.st_gid, stat.S_IMODE(itself.st_mode)) == (8, 9, 0o1750)


@pytest.mark.parametrize("target", ["/data", "data", "../../../data", "/link2"])
def test_copy_follows_links_inside_the_image(layers: Layers, target: str) -> None:
    """The volume's place may be a link, with the image's root as its "/"; links across layers too."""
    write(layers.bottom / "data/file")
    os.symlink(target, layers.top / "link")
    os.symlink("/data", layers.bottom / "link2")
    assert layers.copied("/link") == ["file"]


@pytest.mark.parametrize("target", ["/tmp", "../../../../../../../tmp", "/proc/self/root/tmp", "/loop"])
def test_copy_of_a_link_to_the_host_finds_nothing(layers: Layers, tmp_path: Path, target: str) -> None:
    """What such a link names is looked up inside the image, which has nothing there."""
    del tmp_path
    os.symlink(target, layers.top / "evil")
    os.symlink("/loop", layers.top / "loop")
    assert not ImageDirectory(layers.rootfs, "/evil").exists
    assert layers.copied("/evil") == []


def test_copy_of_a_file_is_refused(layers: Layers) -> None:
    """A volume is a directory."""
    write(layers.bottom / "data")
    with pytest.raises(Conflict, match="cannot mount volume over existing file, file exists /data"):
        ImageDirectory(layers.rootfs, "/data")


def test_copy_out_of_a_plain_root(layers: Layers) -> None:
    """Without overlayfs the root is one directory."""
    write(layers.bottom / "data/file")
    with opened(layers.target) as fd:
        ImageDirectory(PlainRootfs(str(layers.bottom)), "/data").copy_to(fd.fileno())
    assert (layers.target / "file").read_text() == "x"


def test_copy_of_a_deep_tree_is_bounded(layers: Layers) -> None:
    """200 directories in each other are copied, 300 are refused, with every descriptor closed."""
    (layers.bottom / "data" / "/".join(["d"] * 200)).mkdir(parents=True)
    assert len(layers.copied()) == 200
    shutil.rmtree(layers.target)
    layers.target.mkdir()
    (layers.bottom / "deep" / "/".join(["d"] * 300)).mkdir(parents=True)
    with pytest.raises(OSError, match="256 directories in each other"):
        layers.copied("/deep")
