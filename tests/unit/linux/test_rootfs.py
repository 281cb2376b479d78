"""Paths inside a hostile root: by the kernel's openat2 and by the walk that stands in for it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.rootfs import create_file_in_root, mkdir_in_root, open_by_walk, open_in_root, symlink_in_root

Opener = Callable[..., Fd]
BOTH = pytest.mark.parametrize("opener", [open_in_root, open_by_walk], ids=["openat2", "walk"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system beside a secret of the host; what `/secret` names inside is another file."""
    (tmp_path / "secret").write_text("host")
    directory = tmp_path / "root"
    (directory / "etc").mkdir(parents=True)
    (directory / "secret").write_text("inside")
    (directory / "etc" / "passwd").write_text("root:x:0:0")
    return directory


@pytest.fixture
def root_fd(root: Path) -> Iterator[Fd]:
    """The root's descriptor."""
    with Fd(os.open(root, os.O_PATH | os.O_DIRECTORY)) as fd:
        yield fd


def content(opener: Opener, root_fd: Fd, path: str) -> str:
    """What the file `path` inside the root holds."""
    with opener(root_fd, path, os.O_RDONLY) as fd:
        return os.read(fd.fileno(), 100).decode()


@BOTH
@pytest.mark.parametrize(
    "target",
    ["/secret", "../secret", "../../../../secret", "/../../secret", "etc/../../../secret", "./.././secret"],
)
def test_open_through_a_link_that_points_out_stays_inside(root: Path, root_fd: Fd, opener: Opener, target: str) -> None:
    """Absolute links and any number of `..` lead to the file of that name inside the root."""
    (root / "link").symlink_to(target)
    assert content(opener, root_fd, "/link") == "inside"
    assert content(opener, root_fd, "link") == "inside"


@BOTH
def test_open_with_dots_in_the_path_itself_stays_inside(root_fd: Fd, opener: Opener) -> None:
    """The caller's own `..` can't leave the root either."""
    assert content(opener, root_fd, "/../../../secret") == "inside"
    assert content(opener, root_fd, "etc/../../secret") == "inside"


@BOTH
def test_open_through_a_directory_link_that_points_out_stays_inside(root: Path, root_fd: Fd, opener: Opener) -> None:
    """A link in the middle of a path is held as well as one at its end."""
    (root / "up").symlink_to("../..")
    assert content(opener, root_fd, "/up/up/secret") == "inside"


@BOTH
def test_open_of_a_link_loop_is_eloop(root: Path, root_fd: Fd, opener: Opener) -> None:
    """Links that lead to each other end as the kernel ends them."""
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(SyscallError) as caught:
        opener(root_fd, "/a", os.O_RDONLY)
    assert (caught.value.errno, caught.value.object) == (errno.ELOOP, "/a")


@BOTH
def test_open_nofollow_of_a_link_is_eloop(root: Path, root_fd: Fd, opener: Opener) -> None:
    """O_NOFOLLOW keeps its meaning for the last component."""
    (root / "link").symlink_to("secret")
    with pytest.raises(SyscallError) as caught:
        opener(root_fd, "/link", os.O_RDONLY | os.O_NOFOLLOW)
    assert caught.value.errno == errno.ELOOP


@BOTH
def test_open_of_a_missing_file_is_enoent(root_fd: Fd, opener: Opener) -> None:
    """A missing file is told with its path."""
    with pytest.raises(SyscallError) as caught:
        opener(root_fd, "/etc/shadow", os.O_RDONLY)
    assert (caught.value.errno, caught.value.object) == (errno.ENOENT, "/etc/shadow")


@BOTH
def test_open_of_a_path_through_a_file_is_enotdir(root_fd: Fd, opener: Opener) -> None:
    """A file is no directory."""
    with pytest.raises(SyscallError) as caught:
        opener(root_fd, "/secret/x", os.O_RDONLY)
    assert caught.value.errno == errno.ENOTDIR


@BOTH
@pytest.mark.parametrize("path", ["/", "", ".", "..", "/etc/.."])
def test_open_of_the_root_itself_by_any_name(root: Path, root_fd: Fd, opener: Opener, path: str) -> None:
    """The top is its own parent."""
    with opener(root_fd, path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        assert os.fstat(fd.fileno()).st_ino == root.stat().st_ino


@BOTH
def test_open_creates_through_a_dangling_link_inside_the_root(root: Path, root_fd: Fd, opener: Opener) -> None:
    """O_CREAT behind a link to an absolute path makes the file inside."""
    (root / "log").symlink_to("/etc/new")
    with opener(root_fd, "/log", os.O_WRONLY | os.O_CREAT, 0o600) as fd:
        os.write(fd.fileno(), b"x")
    assert (root / "etc" / "new").read_text() == "x"


@BOTH
@pytest.mark.parametrize("path", ["/secret/", "/secret/.", "/secret/..", "/link"])
def test_open_of_a_file_as_a_directory_is_enotdir(root: Path, root_fd: Fd, opener: Opener, path: str) -> None:
    """A slash or a dot behind a name, in a link too, says that it is a directory."""
    (root / "link").symlink_to("secret/")
    with pytest.raises(SyscallError) as caught:
        opener(root_fd, path, os.O_PATH)
    assert caught.value.errno == errno.ENOTDIR


@BOTH
def test_open_is_close_on_exec(root_fd: Fd, opener: Opener) -> None:
    """No program inherits what was opened."""
    with opener(root_fd, "/secret", os.O_RDONLY) as fd:
        assert not os.get_inheritable(fd.fileno())


_names = st.sampled_from(["a", "b", "c", "..", "."])
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)
_targets = st.tuples(st.booleans(), _paths).map(lambda pair: ("/" if pair[0] else "") + pair[1])
_entries = st.dictionaries(
    st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["a", "b", "c"])),
    st.one_of(st.just("dir"), st.just("file"), _targets.map(lambda target: "->" + target)),
    max_size=7,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=_entries, path=_targets)
def test_walk_and_kernel_agree_on_every_tree(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[tuple[str, str], str], path: str
) -> None:
    """Whatever links a tree holds, the walk finds the same file as openat2, or fails with the same errno."""
    top = tmp_path_factory.mktemp("tree", numbered=True)
    for (parent, name), kind in sorted(entries.items()):
        if not (top / parent).is_dir() or (top / parent).is_symlink() or (top / parent / name).is_symlink():
            continue
        place = top / parent / name
        if kind == "dir":
            place.mkdir(exist_ok=True)
        elif kind == "file":
            place.touch()
        else:
            place.symlink_to(kind.removeprefix("->"))
    with Fd(os.open(top, os.O_PATH | os.O_DIRECTORY)) as fd:
        assert _found(open_by_walk, fd, path) == _found(open_in_root, fd, path)


def _found(opener: Opener, root_fd: Fd, path: str) -> tuple[str, int]:
    try:
        with opener(root_fd, path, os.O_PATH) as fd:
            return "inode", os.fstat(fd.fileno()).st_ino
    except SyscallError as error:
        return "errno", error.errno


def test_mkdir_in_root_makes_all_parents_with_the_mode_whatever_the_umask(root: Path, root_fd: Fd) -> None:
    """A supervisor's umask can't lock a container's users out."""
    umask = os.umask(0o077)
    try:
        mkdir_in_root(root_fd, "/a/b/c", 0o755).close()
    finally:
        os.umask(umask)
    for path in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((root / path).stat().st_mode) == 0o755


def test_mkdir_in_root_of_an_existing_directory_leaves_its_mode(root: Path, root_fd: Fd) -> None:
    """What the image brings stays as it is."""
    (root / "etc").chmod(0o700)
    mkdir_in_root(root_fd, "/etc", 0o755).close()
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o700


@pytest.mark.parametrize("target", ["/nowhere/deep", "../../nowhere/deep"])
def test_mkdir_in_root_through_a_dangling_link_makes_its_target_inside(root: Path, root_fd: Fd, target: str) -> None:
    """The image can't make us create directories on the host."""
    (root / "var").symlink_to(target)
    mkdir_in_root(root_fd, "/var/lib").close()
    assert (root / "nowhere" / "deep" / "lib").is_dir()
    assert not (root.parent / "nowhere").exists()


def test_mkdir_in_root_over_a_file_is_enotdir(root_fd: Fd) -> None:
    """A file in the way is told, not replaced."""
    with pytest.raises(SyscallError) as caught:
        mkdir_in_root(root_fd, "/secret/x")
    assert (caught.value.errno, caught.value.object) == (errno.ENOTDIR, "/secret/x")


@pytest.mark.parametrize("path", ["/deep/down/file", "/file", "etc/file"])
def test_create_file_in_root_makes_an_empty_file_and_its_parents(root: Path, root_fd: Fd, path: str) -> None:
    """The place of a bind mount appears with the exact mode."""
    umask = os.umask(0o077)
    try:
        with create_file_in_root(root_fd, path, 0o644) as fd:
            assert stat.S_ISREG(os.fstat(fd.fileno()).st_mode)
    finally:
        os.umask(umask)
    made = root / path.lstrip("/")
    assert made.read_text() == ""
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


def test_create_file_in_root_through_a_dangling_link_makes_its_target_inside(root: Path, root_fd: Fd) -> None:
    """`/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf` is what real images bring."""
    (root / "etc" / "resolv.conf").symlink_to("../../../run/resolve/stub.conf")
    create_file_in_root(root_fd, "/etc/resolv.conf").close()
    assert (root / "run" / "resolve" / "stub.conf").is_file()
    assert not (root.parent / "run").exists()


def test_create_file_in_root_keeps_an_existing_file(root: Path, root_fd: Fd) -> None:
    """The image's file is only the place, its content is not touched."""
    create_file_in_root(root_fd, "/etc/passwd").close()
    assert (root / "etc" / "passwd").read_text() == "root:x:0:0"


def test_create_file_in_root_on_a_directory_is_eisdir(root_fd: Fd) -> None:
    """A directory can't be the place of a file."""
    with pytest.raises(SyscallError) as caught:
        create_file_in_root(root_fd, "/etc")
    assert caught.value.errno == errno.EISDIR


def test_symlink_in_root_makes_it_and_keeps_one_of_the_image(root: Path, root_fd: Fd) -> None:
    """The link's content is written as given; an existing file stays."""
    symlink_in_root(root_fd, "/proc/self/fd", "/dev/fd")
    symlink_in_root(root_fd, "/other", "/dev/fd")
    assert os.readlink(root / "dev" / "fd") == "/proc/self/fd"


@BOTH
def test_open_while_someone_swaps_directories_for_links_stays_inside(root: Path, root_fd: Fd, opener: Opener) -> None:
    """A process of the container that moves things around while we walk can't lead us out."""
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "link").symlink_to("../../..")
    ready, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, b"x")
            while True:
                os.rename(root / "a" / "b", root / "moved")
                os.rename(root / "link", root / "a" / "b")
                os.rename(root / "a" / "b", root / "link")
                os.rename(root / "moved", root / "a" / "b")
        finally:
            os._exit(1)
    try:
        os.read(ready, 1)
        found = {_content_or_errno(opener, root_fd, "a/b/c/../../../../../secret") for _ in range(3000)}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(write)
    assert "host" not in found
    assert "inside" in found


def _content_or_errno(opener: Opener, root_fd: Fd, path: str) -> str | int:
    try:
        return content(opener, root_fd, path)
    except SyscallError as error:
        return error.errno
