"""Who `-u` is: Docker's rules over a passwd and a group file, and files that are traps."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument, ShoalError, SyscallError
from shoal.supervisor.steps.accounts import Account, look_up, read_file

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
bin:x:1:1
nonsense
app:x:1000:1001:App:/srv/app:/bin/sh
1000:x:77:77::/trap:/bin/sh
"""
GROUP = """root:x:0:root
wheel:x:10:app,root
app:x:1001:
audio:x:63:app
broken:x:what:app
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """An O_PATH descriptor of a root with the two files."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


def found(account: Account) -> tuple[int, int, list[int], str]:
    return account.uid, account.gid, account.groups, account.home


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, [0, 10], "/root")),
        ("root", (0, 0, [0, 10], "/root")),
        ("app", (1000, 1001, [1001, 10, 63], "/srv/app")),
        ("1000", (1000, 1001, [1001, 10, 63], "/srv/app")),
        ("app:wheel", (1000, 10, [10], "/srv/app")),
        ("app:5", (1000, 5, [5], "/srv/app")),
        ("4711", (4711, 0, [0], "/")),
        ("4711:4712", (4711, 4712, [4712], "/")),
        ("bin", (1, 1, [1], "/")),
    ],
)
def test_look_up_user_and_group_by_dockers_rules(root: int, user: str, expected: object) -> None:
    """A number is an id, never a name; an explicit group ends the memberships."""
    assert found(look_up(root, user, [], [])) == expected


def test_look_up_adds_groups_by_number_and_name(root: int) -> None:
    """`--group-add` comes on top, each group once."""
    assert look_up(root, "4711:10", [99, 10], ["audio"]).groups == [10, 99, 63]


@pytest.mark.parametrize(
    ("user", "names", "sentence"),
    [
        ("nobody", [], "unable to find user nobody: no matching entries in passwd file"),
        ("app:nope", [], "unable to find group nope: no matching entries in group file"),
        ("2147483648", [], "uids and gids must be in range 0-2147483647"),
        ("-1", [], "uids and gids must be in range 0-2147483647"),
        ("", ["nope"], "Unable to find group nope: no matching entries in group file"),
    ],
)
def test_look_up_failure_is_told_in_dockers_words(root: int, user: str, names: list[str], sentence: str) -> None:
    """Clients see what they see with Docker."""
    with pytest.raises(InvalidArgument) as caught:
        look_up(root, user, [], names)
    assert caught.value.what == sentence


def test_look_up_without_the_files_knows_numbers_only(tmp_path: Path) -> None:
    """An image of one static binary has no /etc."""
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert found(look_up(fd, "", [], [])) == (0, 0, [0], "/")
        with pytest.raises(InvalidArgument):
            look_up(fd, "app", [], [])
    finally:
        os.close(fd)


def test_read_file_fifo_is_refused_and_does_not_block(tmp_path: Path) -> None:
    """A FIFO in the place of passwd must not hang a start: nobody will ever write to it."""
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    fd = os.open(tmp_path, os.O_PATH)
    outcome: list[object] = []

    def read() -> None:
        try:
            outcome.append(read_file(fd, "/etc/passwd"))
        except ShoalError as error:
            outcome.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    os.close(fd)
    assert isinstance(outcome[0], InvalidArgument)
    assert outcome[0].why == "it is not a regular file"


def test_read_file_link_is_followed_inside_the_root_only(tmp_path: Path) -> None:
    """An absolute link leads to a file of the container, never of the host."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "outside").write_text("secret of the container")
    (tmp_path / "etc/passwd").symlink_to("/../../outside")
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert read_file(fd, "/etc/passwd") == b"secret of the container"
    finally:
        os.close(fd)


def test_read_file_magic_link_is_refused(tmp_path: Path) -> None:
    """A link into /proc/self/fd would read whatever this process has open."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "etc/passwd").symlink_to("/proc/self/fd/0")
    fd = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(SyscallError):
            read_file(fd, "/etc/passwd")
    finally:
        os.close(fd)


def test_read_file_that_is_huge_is_refused(tmp_path: Path) -> None:
    """A sparse terabyte costs nobody's memory."""
    (tmp_path / "etc").mkdir()
    with open(tmp_path / "etc/passwd", "wb") as file:
        file.truncate(1 << 40)
    fd = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(InvalidArgument, match="larger than"):
            look_up(fd, "", [], [])
    finally:
        os.close(fd)


@given(passwd=st.binary(max_size=300), group=st.binary(max_size=300), user=st.text(max_size=20))
def test_look_up_of_any_bytes_answers_or_refuses(
    tmp_path_factory: pytest.TempPathFactory, passwd: bytes, group: bytes, user: str
) -> None:
    """Whatever an image holds, the child gets an account in range or an error with a sentence."""
    path = tmp_path_factory.mktemp("root")
    (path / "etc").mkdir()
    (path / "etc/passwd").write_bytes(passwd)
    (path / "etc/group").write_bytes(group)
    fd = os.open(path, os.O_PATH)
    try:
        account = look_up(fd, user, [], [])
    except InvalidArgument:
        pass  # refused, which is an answer
    else:
        assert all(0 <= number < 2**31 for number in (account.uid, *account.groups))
    finally:
        os.close(fd)


def test_look_up_in_huge_files_stays_quick_and_small(tmp_path: Path) -> None:
    """An image cannot make a start expensive: many lines are neither kept nor compared with each other."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b":\n" * (1 << 18))
    groups = b"".join(b":::%d:,u\n" % number for number in range(70_000))
    memberships = b"".join(b"::%d:u\n" % number for number in range(70_000))
    (tmp_path / "etc/group").write_bytes(memberships + groups)
    fd = os.open(tmp_path, os.O_PATH)
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument):
            look_up(fd, "u", [], [])
        (tmp_path / "etc/passwd").write_bytes(b"u:x:7:8::/u:/bin/sh\n")
        account = look_up(fd, "u", [], [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        os.close(fd)
    assert account.groups[:3] == [8, 0, 1]
    assert len(account.groups) == 65536
    assert peak < 32 << 20
    assert time.process_time() - started < 20
