"""Copies in and out of a root whose content works against us: nothing outside of it is read or written."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.errors import Forbidden, InvalidArgument, NotFound, ShoalError
from shoal.image.copies.incoming import Extraction, Rules
from shoal.image.copies.outgoing import write_place, write_root
from shoal.image.copies.places import find_place
from shoal.image.tar.reader import TarReader
from shoal.linux.fd import Fd
from shoal.linux.mounts import bind_mount, make_readonly

pytestmark = pytest.mark.root

Entry = tuple[str, bytes, str, bytes]
FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory of the host with a secret in it, which no copy may touch."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "secret").write_text("secret\n")
    return tmp_path / "host"


@pytest.fixture
def root(tmp_path: Path, host: Path) -> Iterator[Fd]:
    """A root with links in it that lead to the host's directory, absolute and by dots."""
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    (path / "etc" / "file").write_text("inside\n")
    (path / "absolute").symlink_to(host)
    (path / "dots").symlink_to("../host")
    (path / "secret").symlink_to(host / "secret")
    (path / "many").symlink_to("../" * 30 + str(host)[1:])
    with Fd(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        yield fd


def make_tar(*entries: Entry) -> bytes:
    """A tar of these (name, kind, link, data)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link, data in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size, entry.mode = kind, link, len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def extract(root: Fd, path: str, *entries: Entry, rules: Rules = Rules()) -> None:  # noqa: B008 - immutable
    """Extract a tar of the entries into `path`."""
    with Extraction(root, path, "c", rules) as extraction:
        extraction.extract(TarReader(iter([make_tar(*entries)])))


def archive_of(root: Fd, path: str) -> dict[str, tarfile.TarInfo]:
    """The members of an archive of `path`."""
    buffer = io.BytesIO()
    with find_place(root, path, "c") as place:
        write_place(place, buffer.write)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        return {member.name: member for member in archive}


@pytest.mark.parametrize(
    "path", ["/absolute/secret", "/dots/secret", "/many/secret", "/absolute/", "/dots/.", "/secret/"]
)
def test_copy_out_through_a_link_to_the_host_finds_nothing(root: Fd, path: str) -> None:
    """A link, absolute or with any number of dots, leads to a place inside, where there is no such file."""
    with pytest.raises(NotFound, match="Could not find the file"):
        archive_of(root, path)


def test_copy_out_of_a_link_is_the_link(root: Fd, host: Path) -> None:
    """The link itself is copied, with what it says; where it leads is told as a path inside."""
    with find_place(root, "/secret", "c") as place:
        assert stat.S_ISLNK(place.status.st_mode)
        assert place.link_target == f"{host}/secret"
    with find_place(root, "/dots", "c") as place:
        assert place.link_target == "/host"
    assert archive_of(root, "/secret")["secret"].linkname == f"{host}/secret"


def test_copy_out_of_everything_follows_no_link(root: Fd) -> None:
    """A walk of the whole root meets links, and enters none."""
    buffer = io.BytesIO()
    write_root(root, buffer.write)
    assert b"secret\n" not in buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "entries"),
    [
        ("/absolute", [("new", FILE, "", b"x")]),
        ("/dots", [("new", FILE, "", b"x")]),
        ("/", [("absolute/new", FILE, "", b"x")]),
        ("/", [("dots/secret", FILE, "", b"x")]),
        ("/", [("many/secret", FILE, "", b"x")]),
        ("/", [("secret", FILE, "", b"x")]),
        ("/", [("trap", LINK, "/proc/self/root/../host", b""), ("trap/secret", FILE, "", b"x")]),
        ("/", [("trap", LINK, "../host", b""), ("trap", DIR, "", b""), ("trap/secret", FILE, "", b"x")]),
        ("/etc", [("../secret", FILE, "", b"x")]),
        ("/etc", [("a/../../../host/secret", FILE, "", b"x")]),
        ("/", [("stolen", HARD, "dots/secret", b""), ("stolen", FILE, "", b"x")]),
        ("/etc", [("stolen", HARD, "../../host/secret", b"")]),
        ("/", [("stolen", HARD, "secret", b"")]),
    ],
)
def test_copy_in_never_reaches_the_host(root: Fd, host: Path, path: str, entries: list[Entry]) -> None:
    """Whatever links are in the root or in the archive: the host's files stay as they are, and no more of them."""
    try:
        extract(root, path, *entries)
    except ShoalError:
        pass  # refusing is fine as well
    assert [(item.name, item.read_text()) for item in host.iterdir()] == [("secret", "secret\n")]
    assert (host / "secret").stat().st_nlink == 1


def test_copy_in_replaces_a_link_and_does_not_write_through_it(root: Fd, tmp_path: Path) -> None:
    """A file takes the place of a link of its name."""
    extract(root, "/", ("secret", FILE, "", b"mine"))
    assert not (tmp_path / "root" / "secret").is_symlink()
    assert (tmp_path / "root" / "secret").read_bytes() == b"mine"


def test_copy_in_attributes_are_not_set_through_a_link(root: Fd, host: Path, tmp_path: Path) -> None:
    """A symbolic link in an archive gets its own owner and time, and its target keeps what it had."""
    before = (host / "secret").stat()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname, entry.uid, entry.mtime = LINK, str(host / "secret"), 1234, 1_000_000_000
        archive.addfile(entry)
        pipe = tarfile.TarInfo("pipe")
        pipe.type, pipe.mode = tarfile.FIFOTYPE, 0o620
        archive.addfile(pipe)
    with Extraction(root, "/", "c", Rules()) as extraction:
        extraction.extract(TarReader(iter([buffer.getvalue()])))
    made = (tmp_path / "root" / "link").lstat()
    assert (made.st_uid, made.st_mtime) == (1234, 1_000_000_000)
    assert stat.S_IMODE((tmp_path / "root" / "pipe").lstat().st_mode) == 0o620
    after = (host / "secret").stat()
    assert (after.st_uid, after.st_mode, after.st_mtime_ns) == (before.st_uid, before.st_mode, before.st_mtime_ns)


def _swapping(directory: Path, outside: Path, stop: threading.Event) -> None:
    """Exchange a directory and a link to the host, again and again, as a hostile container would."""
    while not stop.is_set():
        try:
            os.rename(directory / "d", directory / "away")
            os.symlink(outside, directory / "d")
            os.unlink(directory / "d")
            os.rename(directory / "away", directory / "d")
        except OSError:
            os.makedirs(directory / "d", exist_ok=True)


@pytest.mark.parametrize("work", ["in", "out"])
def test_copy_races_with_a_swapped_link_and_stays_inside(root: Fd, host: Path, tmp_path: Path, work: str) -> None:
    """A directory that becomes a link to the host between two steps of a copy leads nowhere."""
    inside = tmp_path / "root" / "etc"
    (inside / "d").mkdir()
    host.chmod(0o700)  # the archive's directory has 0755
    stop = threading.Event()
    swapper = threading.Thread(target=_swapping, args=(inside, host, stop))
    swapper.start()
    try:
        for _ in range(150):
            try:
                if work == "in":
                    extract(root, "/etc", ("d", DIR, "", b""), ("d/secret", FILE, "", b"x"), ("d/more", FILE, "", b"x"))
                else:
                    buffer = io.BytesIO()
                    with find_place(root, "/etc", "c") as place:
                        write_place(place, buffer.write)
                    assert b"secret\n" not in buffer.getvalue()
            except (ShoalError, OSError):
                pass  # what was there is gone
    finally:
        stop.set()
        swapper.join()
    assert [(item.name, item.read_text()) for item in host.iterdir()] == [("secret", "secret\n")]
    assert stat.S_IMODE(host.stat().st_mode) == 0o700


def test_copy_in_keeps_kinds_only_when_asked(root: Fd, tmp_path: Path) -> None:
    """Without the rule a file replaces a directory with all in it; with it, neither kind gives way."""
    keep = Rules(keep_kinds=True)
    with pytest.raises(InvalidArgument, match='cannot overwrite directory "/etc" with non-directory "/"'):
        extract(root, "/", ("etc", FILE, "", b"x"), rules=keep)
    with pytest.raises(InvalidArgument, match='cannot overwrite non-directory "/etc/file" with directory "/etc"'):
        extract(root, "/etc", ("file", DIR, "", b""), rules=keep)
    extract(root, "/", ("etc", FILE, "", b"x"))
    assert (tmp_path / "root" / "etc").read_bytes() == b"x"


def test_copy_in_owner_takes_the_archives_place(root: Fd, tmp_path: Path) -> None:
    """With an owner in the rules every entry gets it, implied directories stay root's."""
    extract(root, "/etc", ("a/b", FILE, "", b"x"), ("c", DIR, "", b""), rules=Rules(owner=(7, 8)))
    owners = {name: (tmp_path / "root" / "etc" / name).stat() for name in ("a", "a/b", "c")}
    assert {name: (status.st_uid, status.st_gid) for name, status in owners.items()} == {
        "a": (0, 0),
        "a/b": (7, 8),
        "c": (7, 8),
    }


def test_copy_in_to_a_read_only_place_is_forbidden(
    tmp_path: Path, in_mount_namespace: Callable[[Callable[[], None]], None]
) -> None:
    """A read-only mount is told before anything is read."""
    (tmp_path / "root" / "fixed").mkdir(parents=True)

    def check() -> None:
        with Fd(os.open(tmp_path / "root", os.O_PATH | os.O_CLOEXEC)) as place:
            with bind_mount(str(tmp_path / "root"), place, recursive=False) as root:
                make_readonly(root)
                with pytest.raises(Forbidden, match="container rootfs is marked read-only"):
                    extract(root, "/fixed", ("x", FILE, "", b"x"))

    in_mount_namespace(check)
