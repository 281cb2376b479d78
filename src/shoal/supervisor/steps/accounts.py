"""Reading a container's /etc/passwd and /etc/group, which an image or a running container may have prepared.

Runs in the child behind the change of root. A file that is no regular file (a FIFO would block for ever, opening
a device has effects), that is too large, or that is not there counts as what it is: an error, or empty. Lines
that make no sense are passed over, as libc does.

The rules and sentences are Docker's (`docker run -u`): a number is always an id, never a name; an explicit group
replaces the memberships.
"""

from __future__ import annotations

import errno
import os
import stat

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.rootfs import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MAXIMUM_ID = 2**31 - 1
_MAXIMUM_FILE_BYTES = 8 * 1024 * 1024
_MAXIMUM_GROUPS = 65536  # NGROUPS_MAX, <linux/limits.h>


class Account:
    """Who a process is going to be: `groups` are the supplementary ones, the primary one first."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def look_up(root_fd: int, user: str, extra_groups: list[int], group_names: list[str]) -> Account:
    """The account that `user` ("", "name", "uid", each with ":group") is in the container.

    Raises: InvalidArgument `unable to find user …: no matching entries in passwd file` and its like.
    """
    name, _, group = user.partition(":")
    passwd = _Lines(read_file(root_fd, "/etc/passwd"), 7)
    groups = _Lines(read_file(root_fd, "/etc/group"), 4)
    uid, gid, home, login = _find_user(passwd, name)
    memberships = [] if group else _memberships(groups, login)
    if group:
        gid = _find_group(groups, group)
    extra = [*extra_groups, *(_named_group(groups, wanted) for wanted in group_names)]
    everything = [gid, *memberships, *extra]
    return Account(uid, gid, list(dict.fromkeys(everything))[:_MAXIMUM_GROUPS], home or "/")


def home_of(root_fd: int, uid: int) -> str:
    """The home directory of a user by its number, "/" where /etc/passwd of the container names none."""
    for _, _, number, _, _, home, *_ in _Lines(read_file(root_fd, "/etc/passwd"), 7):
        if _number(number) == uid:
            return home or "/"
    return "/"


def read_file(root_fd: int, path: str) -> bytes:
    """The content of a regular file in the container; empty when there is none.

    Raises: InvalidArgument when it is something else, or larger than 8 MiB; SyscallError.
    """
    try:
        with open_in_root(root_fd, path, os.O_PATH) as place:
            _check_regular(place.fileno(), path)
        # Opened a second time, because O_PATH cannot be read; a running container may have put something else
        # there meanwhile: O_NONBLOCK keeps a FIFO from blocking, and it is looked at again.
        with open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as file:
            _check_regular(file.fileno(), path)
            return _read_all(file.fileno())
    except SyscallError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return b""
        raise


def _check_regular(fd: int, path: str) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgument(f"unable to read {path} of the container", why="it is not a regular file")
    if status.st_size > _MAXIMUM_FILE_BYTES:
        raise InvalidArgument(
            f"unable to read {path} of the container", why=f"it is larger than {_MAXIMUM_FILE_BYTES} bytes"
        )


def _read_all(fd: int) -> bytes:
    parts = []
    left = _MAXIMUM_FILE_BYTES
    while left > 0:
        part = os.read(fd, left if left < 65536 else 65536)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class _Lines:
    """The lines of such a file, each as a list of at least `fields` fields. One at a time: there may be millions."""

    __slots__ = ("_content", "_fields")

    def __init__(self, content: bytes, fields: int) -> None:
        self._content = content
        self._fields = fields

    def __iter__(self) -> Iterator[list[str]]:
        start = 0
        while start < len(self._content):
            end = self._content.find(b"\n", start)
            end = end if end >= 0 else len(self._content)
            line = self._content[start:end].decode("utf-8", "surrogateescape").strip()
            start = end + 1
            if line and not line.startswith("#"):
                parts = line.split(":")
                yield parts + [""] * (self._fields - len(parts))


def _find_user(passwd: _Lines, name: str) -> tuple[int, int, str, str]:
    """(uid, gid, home, login name) for a name or number; nothing given is uid 0."""
    number = _number(name) if name else 0
    for login, _, uid, gid, _, home, *_ in passwd:
        if (number is None and login == name) or (number is not None and _number(uid) == number):
            return _checked(_number(uid) or 0), _checked(_number(gid) or 0), home, login
    if number is None:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    return _checked(number), 0, "/", ""


def _find_group(groups: _Lines, wanted: str) -> int:
    number = _number(wanted)
    if number is not None:
        return _checked(number)
    for name, _, gid, *_ in groups:
        if name == wanted:
            return _checked(_number(gid) or 0)
    raise InvalidArgument(f"unable to find group {wanted}: no matching entries in group file")


def _named_group(groups: _Lines, wanted: str) -> int:
    for name, _, gid, *_ in groups:
        if name == wanted:
            return _checked(_number(gid) or 0)
    raise InvalidArgument(f"Unable to find group {wanted}: no matching entries in group file")


def _memberships(groups: _Lines, login: str) -> list[int]:
    if not login:
        return []
    found = []
    for _, _, gid, members, *_ in groups:
        if login in members.split(","):
            number = _number(gid)
            if number is not None:
                found.append(_checked(number))
    return found


def _number(text: str) -> int | None:
    # int() alone would take "1_000", " 1" and digits of other scripts.
    digits = text[1:] if text.startswith(("-", "+")) else text
    if not digits or not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        return None
    return int(text)


def _checked(number: int) -> int:
    if not 0 <= number <= _MAXIMUM_ID:
        raise InvalidArgument("uids and gids must be in range 0-2147483647")
    return number
