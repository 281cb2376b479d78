"""Clones the child into its namespaces, new and joined ones, in the order that the kernel wants.

pid namespace joined       entered around the clone: setns(2) changes it for children only
time namespace new         unshared around the clone, because its offsets are fixed with the first process in it
user namespace joined      entered by a process in between, whose child belongs to us (CLONE_PARENT): what is cloned
                           from there belongs to that user namespace
all others joined          entered by the child itself, as steps
"""

from __future__ import annotations

import _socket
import os

from shoal.errors import ShoalError, SyscallError
from shoal.linux.clone import CLONE_PARENT, clone3
from shoal.linux.fd import Fd
from shoal.linux.namespaces import (
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    namespace_fd,
    open_namespace,
    setns,
    unshare,
    write_time_offsets,
)
from shoal.linux.pidfd import pid_of
from shoal.oci_runtime.child import Inheritance, child_main
from shoal.supervisor.child import describe_error
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Namespaces:
    """Where the child is to live: CLONE_NEW* `flags`, joined ones by kind, a new time namespace with its offsets."""

    __slots__ = ("flags", "pid", "time_offsets", "user")

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.pid: Fd | None = None
        self.user: Fd | None = None
        self.time_offsets: dict[str, tuple[int, int]] | None = None


def clone_into(namespaces: Namespaces, own: Inheritance, into_cgroup: Fd | None) -> tuple[int, Fd]:
    """(pid, pidfd) of the child, which runs its steps. Single-threaded processes only. Raises: SyscallError."""
    homes: list[tuple[Fd, int]] = []
    try:
        if namespaces.pid is not None:
            homes.append((namespace_fd("self", "pid"), CLONE_NEWPID))
            setns(namespaces.pid, CLONE_NEWPID)
        if namespaces.time_offsets is not None:
            homes.append((namespace_fd("self", "time"), CLONE_NEWTIME))
            unshare(CLONE_NEWTIME)
            write_time_offsets("self", namespaces.time_offsets)
        if namespaces.user is not None:
            return _clone_through(namespaces.user, namespaces.flags, own, into_cgroup)
        pid, pidfd = clone3(namespaces.flags, into_cgroup=into_cgroup)
        if pidfd is None:
            child_main(own)
        return pid, pidfd
    finally:
        # Hooks, which come later, run where we came from.
        for home, flag in homes:
            with home:
                setns(home, flag)


def _clone_through(user: Fd, flags: int, own: Inheritance, into_cgroup: Fd | None) -> tuple[int, Fd]:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        between, pidfd = clone3(0, into_cgroup=into_cgroup)
        if pidfd is None:
            _between(user, flags, own, theirs)
        theirs.close()
        pidfd.close()
        message = receive(ours)
        os.waitpid(between, 0)
        if message is None:
            raise SyscallError("clone3", "in the joined user namespace", 0)
        if message[0] == "error":
            raise error_from_wire(message[2])
        # By descriptor: its number may be one of another pid namespace.
        child = Fd(message[3][0])
        return pid_of(child) or 0, child
    finally:
        ours.close()


def _between(user: Fd, flags: int, own: Inheritance, channel: _socket.socket) -> NoReturn:
    """Enters the user namespace and clones the child from there. # SAFETY: as `child_main`."""
    try:
        setns(user, CLONE_NEWUSER)
        _, pidfd = clone3(flags | CLONE_PARENT)
        if pidfd is None:
            child_main(own)
        send_nowait(channel, encode("cloned", 0, {}), [pidfd.fileno()])
    except ShoalError as error:
        send_nowait(channel, encode("error", 0, describe_error(error, "clone")))
    finally:
        os._exit(0)


def open_joined(joins: tuple[tuple[str, str], ...]) -> dict[str, Fd]:
    """Descriptors of the namespaces to join, by kind, owned by the caller. Raises: SyscallError."""
    opened: dict[str, Fd] = {}
    try:
        for kind, path in joins:
            opened[kind] = open_namespace(path)
    except ShoalError:
        for fd in opened.values():
            fd.close()
        raise
    return opened
