"""The mount API: binds with their flags and propagation, new file systems, and the ways of older kernels."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux import filesystems, mounts
from shoal.linux.namespaces import CLONE_NEWNS
from tests.kernel.child import CONTAINER, run_in_child
from tests.kernel.linux.places import hide_system_calls, mount_options, mountinfo_line, place, refusal, tmpfs

pytestmark = pytest.mark.root

# Which calls a kernel lacks: none, those since 5.12, those since 5.2.
KERNELS = ((), ("mount_setattr",), ("mount_setattr", "open_tree", "move_mount", "fsopen"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with a file, and below it a directory for another mount."""
    directory = tmp_path / "source"
    (directory / "below").mkdir(parents=True)
    (directory / "file").write_text("data")
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("missing", KERNELS)
def test_bind_mount_shows_the_source_at_the_target(
    source: Path, target: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain bind is writable and reaches the same files, by the new calls and by the old one."""
    hide_system_calls(monkeypatch, mounts, *missing)

    def inside() -> object:
        with place(target) as fd:
            mounts.bind_mount(str(source), fd)
        (target / "new").write_text("written")
        return (target / "file").read_text()

    assert run_in_child(inside, CLONE_NEWNS) == "data"
    assert (source / "new").read_text() == "written"
    assert not list(target.iterdir())


@pytest.mark.parametrize("missing", KERNELS)
@pytest.mark.parametrize(
    ("readonly", "top", "below"),
    [("no", 0, 0), ("mount", errno.EROFS, 0), ("recursive", errno.EROFS, errno.EROFS)],
)
def test_bind_mount_readonly_covers_the_mount_or_the_whole_tree(
    source: Path,
    target: Path,
    readonly: str,
    top: int,
    below: int,
    missing: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`mount` makes only the mount itself read-only, `recursive` those below it too."""
    hide_system_calls(monkeypatch, mounts, *missing)

    def inside() -> object:
        tmpfs(source / "below")
        with place(target) as fd:
            mounts.bind_mount(str(source), fd, recursive=True, readonly=readonly)
        return refusal(target / "x"), refusal(target / "below" / "x"), refusal(source / "x")

    assert run_in_child(inside, CLONE_NEWNS) == (top, below, 0)


@pytest.mark.parametrize("missing", KERNELS)
def test_bind_mount_not_recursive_leaves_out_what_is_mounted_below(
    source: Path, target: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `recursive` the directory under a mount shows as it is on disk."""
    hide_system_calls(monkeypatch, mounts, *missing)

    def inside() -> object:
        tmpfs(source / "below")
        (source / "below" / "x").touch()
        with place(target) as fd:
            mounts.bind_mount(str(source), fd, recursive=False)
        return os.listdir(target / "below")

    assert run_in_child(inside, CLONE_NEWNS) == []


@pytest.mark.parametrize("missing", KERNELS)
def test_bind_mount_with_attributes_sets_them(
    source: Path, target: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """nosuid, nodev, noexec and noatime arrive on the new mount, and only there."""
    hide_system_calls(monkeypatch, mounts, *missing)
    attrs = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC | mounts.MOUNT_ATTR_NOATIME

    def inside() -> object:
        with place(target) as fd:
            mounts.bind_mount(str(source), fd, attrs=attrs)
        return mount_options(target)

    options = run_in_child(inside, CLONE_NEWNS)
    assert isinstance(options, list)
    assert {"nosuid", "nodev", "noexec", "noatime"} <= set(options)


@pytest.mark.parametrize("missing", KERNELS)
@pytest.mark.parametrize(
    ("flag", "word"), [(mounts.MS_PRIVATE, ""), (mounts.MS_SHARED, "shared:"), (mounts.MS_SLAVE, "master:")]
)
def test_bind_mount_with_propagation_gets_it(
    source: Path, target: Path, flag: int, word: str, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new mount of a shared one is private, shared or a slave, as asked."""
    hide_system_calls(monkeypatch, mounts, *missing)

    def inside() -> object:
        tmpfs(source)
        mounts.set_propagation(str(source), mounts.MS_SHARED)
        with place(target) as fd:
            mounts.bind_mount(str(source), fd, propagation=flag)
        return mountinfo_line(target).partition(" - ")[0].split(" ")[6:]

    tags = run_in_child(inside, CLONE_NEWNS)
    assert isinstance(tags, list)
    assert [tag for tag in tags if tag] == ([] if not word else [tag for tag in tags if tag.startswith(word)])
    assert bool(word) == bool(tags)


def test_bind_mount_of_a_missing_source_names_the_call_and_the_path(target: Path) -> None:
    """The error can be shown to a user as it is."""
    with place(target) as fd, pytest.raises(SyscallError) as caught:
        mounts.bind_mount(str(target / "missing"), fd)
    assert str(caught.value) == f"open_tree `{target}/missing`: no such file or directory"


def test_bind_mount_over_a_descriptor_can_t_be_diverted_by_a_link(source: Path, target: Path) -> None:
    """When the path changes to a link behind the open, the mount still goes to the place that was opened."""

    def inside() -> object:
        with place(target) as fd:
            target.rename(target.with_name("moved"))
            target.symlink_to(source)
            mounts.bind_mount(str(source / "below"), fd)
        found = mount_options(target.with_name("moved"))
        target.unlink()
        return bool(found)

    assert run_in_child(inside, CLONE_NEWNS) is True
    target.with_name("moved").rename(target)


def test_bind_mount_of_a_file_over_a_directory_is_refused(source: Path, target: Path) -> None:
    """A file does not go over a directory, and the error says which target."""

    def inside() -> None:
        with place(target) as fd:
            mounts.bind_mount(str(source / "file"), fd, object="/etc/hosts")

    with pytest.raises(SyscallError) as caught:
        run_in_child(inside, CLONE_NEWNS)
    assert (caught.value.syscall, caught.value.object, caught.value.errno) == (
        "move_mount",
        "/etc/hosts",
        errno.ENOTDIR,
    )


@pytest.mark.parametrize("missing", [(), ("fsopen",)])
@pytest.mark.parametrize(
    ("fstype", "options", "entry"),
    [
        ("proc", [], "self"),
        ("sysfs", [], "kernel"),
        ("tmpfs", ["size=64k", "mode=1777"], None),
        ("devpts", ["newinstance", "ptmxmode=0666", "mode=0620"], "ptmx"),
        ("mqueue", [], None),
    ],
)
def test_mount_filesystem_of_a_container_can_be_used(
    target: Path,
    fstype: str,
    options: list[str],
    entry: str | None,
    missing: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each file system that a container has is mounted with its options and its attributes."""
    hide_system_calls(monkeypatch, mounts, *missing)

    def inside() -> object:
        with place(target) as fd:
            filesystems.mount_filesystem(fstype, fd, options=options, attrs=mounts.MOUNT_ATTR_NOSUID)
        return entry is None or entry in os.listdir(target), "nosuid" in mount_options(target)

    assert run_in_child(inside, CONTAINER) == (True, True)


def test_mount_filesystem_with_an_unknown_option_repeats_what_the_kernel_says(target: Path) -> None:
    """The file system's own words are in the reason, so that nobody has to look into the kernel log."""

    def inside() -> None:
        with place(target) as fd:
            filesystems.mount_filesystem("tmpfs", fd, options=["nonsense=1"])

    with pytest.raises(SyscallError) as caught:
        with place(target) as fd:
            filesystems.mount_filesystem("tmpfs", fd, options=["nonsense=1"])
    assert caught.value.errno == errno.EINVAL
    assert caught.value.object == "nonsense=1"
    assert "Unknown parameter 'nonsense'" in caught.value.why


def test_mount_filesystem_that_the_kernel_lacks_is_enodev(target: Path) -> None:
    """A missing file system is told apart from a wrong option."""
    with place(target) as fd, pytest.raises(SyscallError) as caught:
        filesystems.mount_filesystem("nosuchfs", fd)
    assert str(caught.value) == "fsopen `nosuchfs`: no such device"


def test_set_propagation_private_keeps_mounts_from_the_host(target: Path) -> None:
    """What is mounted behind it in a new mount namespace does not show outside."""

    def inside() -> None:
        mounts.set_propagation("/", mounts.MS_SLAVE, recursive=True)
        tmpfs(target)

    run_in_child(inside, CLONE_NEWNS)
    assert str(target) not in Path("/proc/self/mountinfo").read_text()


def test_umount2_detach_takes_a_busy_mount_away(target: Path) -> None:
    """MNT_DETACH unmounts even when a file of it is open."""

    def inside() -> object:
        tmpfs(target)
        with open(target / "open", "w"):
            mounts.umount2(str(target), mounts.MNT_DETACH)
        return os.listdir(target)

    assert run_in_child(inside, CLONE_NEWNS) == []
