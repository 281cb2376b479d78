"""An image's layers shown inside a root: one of them, several, or a part of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.layers import mount_layers
from shoal.linux.mounts import bind_mount
from shoal.linux.namespaces import CLONE_NEWNS
from tests.kernel.child import run_in_child
from tests.kernel.linux.places import place

pytestmark = pytest.mark.root


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    """A root to mount in, and two layers: the upper one has a link that leads out of the image."""
    for name in ("root", "top/etc", "bottom/etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "top/etc/name").write_text("top")
    (tmp_path / "bottom/etc/name").write_text("bottom")
    (tmp_path / "bottom/etc/other").write_text("other")
    (tmp_path / "top/out").symlink_to("../../../../etc")
    return tmp_path


def shown(spot: Path, names: list[str], subpath: str, target: str = "/d") -> object:
    """What is at the target, by name, and the error of a write there; in mounts of our own."""

    def look() -> object:
        with place(spot / "root") as here, bind_mount(str(spot / "root"), here, recursive=False) as root:
            mount_layers(root, target, [str(spot / name) for name in names], subpath)
            path = f"/proc/self/fd/{root.fileno()}{target}"
            try:
                if os.path.isdir(path):
                    Fd(os.open(f"{path}/new", os.O_CREAT | os.O_WRONLY)).close()
                else:
                    Fd(os.open(path, os.O_WRONLY)).close()
                refused = 0
            except OSError as error:
                refused = error.errno or 0
            content = sorted(os.listdir(path)) if os.path.isdir(path) else Path(path).read_text()
            return content, refused

    return run_in_child(look, CLONE_NEWNS)


@pytest.mark.parametrize(
    ("names", "subpath", "content"),
    [
        (["top"], "", ["etc", "out"]),
        (["top", "bottom"], "", ["etc", "out"]),
        (["top"], "etc", ["name"]),
        (["top", "bottom"], "etc", ["name", "other"]),
        (["top", "bottom"], "etc/name", "top"),
        (["top", "bottom"], "out", ["name", "other"]),
        (["bottom"], "etc/other", "other"),
    ],
)
def test_mount_layers_shows_them_read_only(spot: Path, names: list[str], subpath: str, content: object) -> None:
    """The upper one wins; a link to the outside leads to a place inside; nothing can be written."""
    assert shown(spot, names, subpath) == (content, errno.EROFS)


@pytest.mark.parametrize("names", [["top"], ["top", "bottom"]])
def test_mount_layers_of_a_missing_part_is_told_and_leaves_nothing(spot: Path, names: list[str]) -> None:
    """ENOENT, and no mount over the root."""

    def look() -> object:
        with place(spot / "root") as here, bind_mount(str(spot / "root"), here, recursive=False) as root:
            before = Path("/proc/self/mountinfo").read_text()
            with pytest.raises(SyscallError) as caught:
                mount_layers(root, "/d", [str(spot / name) for name in names], "nope")
            return caught.value.errno, Path("/proc/self/mountinfo").read_text() == before

    assert run_in_child(look, CLONE_NEWNS) == (errno.ENOENT, True)
