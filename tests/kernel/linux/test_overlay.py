"""Overlays of few and of very many layers, on this kernel and in the ways of older ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument, SyscallError, Unsupported
from shoal.linux import features, mounts, overlay
from shoal.linux.namespaces import CLONE_NEWNS
from tests.kernel.child import run_in_child
from tests.kernel.linux.places import hide_system_calls, mountinfo_line, place, refusal

pytestmark = pytest.mark.root

# How many layers every kernel takes.
MOST_IN_A_PAGE = 240


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    """Directories for the mount, the upper and the work directory."""
    for name in ("mnt", "upper", "work"):
        (tmp_path / name).mkdir()
    return tmp_path


def layers(spot: Path, count: int, prefix: str = "layer") -> list[str]:
    """`count` layers, top first; each has a file of its own, and its version of `shared`."""
    paths = []
    for number in range(count):
        directory = spot / f"{prefix}-{number}"
        directory.mkdir(parents=True)
        (directory / f"file-{number}").touch()
        (directory / "shared").write_text(str(number))
        paths.append(str(directory))
    return paths


def mount_and_look(spot: Path, lower: list[str]) -> object:
    """(how many files there are, the content of `shared`) of a writable overlay, after a file was written."""
    with place(spot / "mnt") as target:
        with overlay.mount_overlay(target, lower=lower, upper=str(spot / "upper"), work=str(spot / "work")) as root:
            inside = os.stat("shared", dir_fd=root.fileno()).st_size
    assert inside == 1, "the result serves as a root descriptor"
    count = len(os.listdir(spot / "mnt"))
    (spot / "mnt" / "written").write_text("x")
    return count, (spot / "mnt" / "shared").read_text()


@pytest.mark.parametrize("count", [1, 2, 128, 300])
def test_mount_overlay_of_many_layers_shows_all_and_writes_to_the_upper(spot: Path, count: int) -> None:
    """128 layers are Docker's limit, and more than a page of options holds; the first layer is on top."""
    lower = layers(spot, count)
    if count > MOST_IN_A_PAGE and not features.available(features.detect(), "overlay-lowerdir+"):
        with pytest.raises(Unsupported):
            run_in_child(lambda: mount_and_look(spot, lower), CLONE_NEWNS)
        return
    assert run_in_child(lambda: mount_and_look(spot, lower), CLONE_NEWNS) == (count + 1, "0")
    assert os.listdir(spot / "upper") == ["written"]


@pytest.mark.parametrize("missing", ["fsopen", "lowerdir+"])
@pytest.mark.parametrize("count", [1, 128, 200])
def test_mount_overlay_on_an_older_kernel_takes_many_layers_too(
    spot: Path, count: int, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without lowerdir+ (6.5) or fsopen (5.2) the layers go into one page, by short names if need be."""
    if missing == "fsopen":
        hide_system_calls(monkeypatch, mounts, "fsopen")
    else:

        def refuse(_: object, key: str, value: str) -> None:
            if key == "lowerdir+":
                raise SyscallError("fsconfig", f"{key}={value}", errno.EINVAL)

        monkeypatch.setattr(overlay, "fsconfig_set_string", refuse)
    lower = layers(spot, count)
    assert run_in_child(lambda: mount_and_look(spot, lower), CLONE_NEWNS) == (count + 1, "0")


def test_mount_overlay_on_an_older_kernel_says_when_the_layers_are_too_many(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even the short names fit, the error tells what to do."""
    hide_system_calls(monkeypatch, mounts, "fsopen")
    lower = layers(spot, 300)
    with pytest.raises(Unsupported) as caught:
        run_in_child(lambda: mount_and_look(spot, lower), CLONE_NEWNS)
    assert caught.value.what == "an overlay of 300 layers does not fit into one page of mount options"
    assert caught.value.fix == "flatten the image, or upgrade the kernel"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "name",
    ["with:colon", "with,comma", "with\\backslash", "with space", "ü" * 80, "x" * 200],
    ids=["colon", "comma", "backslash", "space", "umlauts", "long"],
)
def test_mount_overlay_takes_paths_with_any_character_and_length(
    spot: Path, name: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Separators of the option string, and names too long for one fsconfig string, are no trouble."""
    if old:
        hide_system_calls(monkeypatch, mounts, "fsopen")
    deep = spot / name / name
    deep.mkdir(parents=True)
    for part in ("mnt", "upper", "work"):
        (deep / part).mkdir()
    lower = layers(deep, 3)
    assert run_in_child(lambda: mount_and_look(deep, lower), CLONE_NEWNS) == (4, "0")


def test_mount_overlay_without_upper_is_read_only(spot: Path) -> None:
    """Two lower layers alone make a view of an image that can't be written."""
    lower = layers(spot, 2)

    def inside() -> object:
        with place(spot / "mnt") as target:
            overlay.mount_overlay(target, lower=lower)
        return refusal(spot / "mnt" / "x")

    assert run_in_child(inside, CLONE_NEWNS) == errno.EROFS


def test_mount_overlay_passes_options_and_attributes_on(spot: Path) -> None:
    """An option of overlayfs and an attribute of the mount both arrive."""
    lower = layers(spot, 1)

    def inside() -> object:
        with place(spot / "mnt") as target:
            overlay.mount_overlay(
                target,
                lower=lower,
                upper=str(spot / "upper"),
                work=str(spot / "work"),
                options=["volatile", "metacopy=off"],
                attrs=mounts.MOUNT_ATTR_NODEV,
            )
        return mountinfo_line(spot / "mnt")

    line = str(run_in_child(inside, CLONE_NEWNS))
    assert "volatile" in line  # "volatile", and "fsync=volatile" on later kernels
    assert "nodev" in line.split(" ")[5]


@pytest.mark.parametrize(
    ("lower", "upper", "work"), [([], None, None), (["/"], None, None), (["/"], "/u", None), ([], "/u", "/w")]
)
def test_mount_overlay_of_layers_that_make_none_is_refused(
    spot: Path, lower: list[str], upper: str | None, work: str | None
) -> None:
    """Impossible combinations are found before the kernel is asked."""
    with place(spot / "mnt") as target, pytest.raises(InvalidArgument) as caught:
        overlay.mount_overlay(target, lower=lower, upper=upper, work=work)
    assert caught.value.what == "invalid overlay layers"


def test_mount_overlay_of_a_missing_layer_names_it(spot: Path) -> None:
    """The error says which of the many layers it was."""
    with place(spot / "mnt") as target, pytest.raises(SyscallError) as caught:
        overlay.mount_overlay(target, lower=[str(spot / "gone")], upper=str(spot / "upper"), work=str(spot / "work"))
    assert caught.value.errno == errno.ENOENT
    assert caught.value.object.removeprefix("lowerdir+=") == f"{spot}/gone"
