"""Namespaces: enter, leave, name them, and fill in the maps of a user and the offsets of a time namespace.

Used by the supervisor and its children, and by shoald for the network. namespaces(7).
"""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import SYS_setns, SYS_unshare, syscall

# include/uapi/linux/sched.h
CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# The name in /proc/PID/ns -> the flag.
FLAGS = {
    "mnt": CLONE_NEWNS,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "cgroup": CLONE_NEWCGROUP,
    "user": CLONE_NEWUSER,
    "time": CLONE_NEWTIME,
}
# The type in an OCI runtime spec -> the name in /proc/PID/ns (OCI runtime-spec §Linux namespaces).
OCI_NAMES = {
    "mount": "mnt",
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
    "user": "user",
    "time": "time",
}


def unshare(flags: int) -> None:
    """Put this process into new namespaces; NEWPID and NEWTIME take effect for its next children.

    unshare(2). Needs CAP_SYS_ADMIN, but for NEWUSER.

    Raises: SyscallError.
    """
    syscall(SYS_unshare, "unshare", _flag_names(flags), flags)


def setns(fd: FdLike, flags: int) -> None:
    """Join the namespace behind `fd`, or, with a pidfd (Linux 5.8), all of the process that `flags` name.

    setns(2). Joining a user namespace must come first, a mount namespace last.

    Raises: SyscallError.
    """
    syscall(SYS_setns, "setns", _flag_names(flags), fd, flags)


def _flag_names(flags: int) -> str:
    """The namespaces in `flags` as the object of an error: "mnt,pid"."""
    return ",".join(name for name, flag in FLAGS.items() if flags & flag)


def namespace_fd(pid: int | str, name: str) -> Fd:
    """A descriptor of the namespace `name` ("net", "mnt", …) of `pid` (or "self"), owned by the caller.

    Raises: SyscallError (ENOENT: no such process, EACCES: not allowed to see it).
    """
    return open_namespace(f"/proc/{pid}/ns/{name}")


def open_namespace(path: str) -> Fd:
    """A descriptor of the namespace at `path` (/proc/…/ns/… or a bind mount of it), owned by the caller.

    Raises: SyscallError.
    """
    try:
        return Fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def namespace_id(pid: int | str, name: str) -> int:
    """The inode number that identifies the namespace `name` of `pid`.

    Raises: SyscallError.
    """
    path = f"/proc/{pid}/ns/{name}"
    try:
        return os.stat(path).st_ino
    except OSError as error:
        raise SyscallError("stat", path, error.errno or 0) from None


def write_user_maps(
    pid: int | str,
    uid_map: list[tuple[int, int, int]],
    gid_map: list[tuple[int, int, int]],
    *,
    allow_setgroups: bool = True,
) -> None:
    """Give the user namespace of `pid` its identities: triples (inside, outside, count).

    user_namespaces(7): one write each and never again; at most 340 lines (Linux 4.15). Without privilege in
    the parent namespace `allow_setgroups` must be false.

    Raises: SyscallError; InvalidArgument for an empty or negative range.
    """
    for inside, outside, count in (*uid_map, *gid_map):
        if inside < 0 or outside < 0 or count <= 0:
            raise InvalidArgument(f"invalid identity map {inside} {outside} {count}", why="ranges are positive")
    if not allow_setgroups:
        # Before gid_map: the kernel refuses an unprivileged gid_map while setgroups is allowed.
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", _map_text(uid_map))
    _write(f"/proc/{pid}/gid_map", _map_text(gid_map))


def _map_text(ranges: list[tuple[int, int, int]]) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def write_time_offsets(pid: int | str, offsets: dict[str, tuple[int, int]]) -> None:
    """Shift the clocks ("monotonic", "boottime") of the time namespace of `pid`'s children by (s, ns).

    time_namespaces(7), Linux 5.6; only before the first process is in the namespace.

    Raises: SyscallError; InvalidArgument for another clock.
    """
    for clock in offsets:
        if clock not in ("monotonic", "boottime"):
            raise InvalidArgument(f"invalid time offset clock {clock!r}", why="it is monotonic or boottime")
    text = "".join(f"{clock} {seconds} {nanos}\n" for clock, (seconds, nanos) in offsets.items())
    _write(f"/proc/{pid}/timens_offsets", text)


def _write(path: str, text: str) -> None:
    """Write `text` to `path` in one write(2), which these files insist on.

    Raises: SyscallError.
    """
    try:
        with Fd(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as fd:
            os.write(fd.fileno(), text.encode())
    except OSError as error:
        raise SyscallError("write", path, error.errno or 0) from None
