"""Run a piece of a kernel test in a child process, in namespaces of its own, and get its result back.

The child is made by clone3, as the supervisor makes one, so it shares nothing with the test but the copy of memory.
"""

from __future__ import annotations

import marshal
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from shoal.errors import ShoalError, SyscallError
from shoal.linux import clone, mounts, namespaces
from shoal.linux.fd import Fd, FdLike

# A container's usual namespaces, but for the network, which takes longest to go.
CONTAINER = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
)
_DEADLINE_S = 60


class ChildFailed(AssertionError):
    """The child ended without a result: an assertion failed in it, or it was killed."""


def run_in_child(function: Callable[[], object], flags: int = 0, *, into_cgroup: FdLike | None = None) -> object:
    """What `function` returns (plain data) when a child in new namespaces runs it.

    With CLONE_NEWNS nothing that it mounts comes back to the host. Raises what it raises, if that is a ShoalError;
    ChildFailed with the words of any other exception.
    """
    read_end, write_end = (Fd(number) for number in os.pipe())
    pid, pidfd = clone.clone3(flags, into_cgroup=into_cgroup)
    if pid == 0:
        _be_child(function, flags, write_end)
    write_end.close()
    assert pidfd is not None
    with read_end, pidfd:
        text = _read_all(read_end)
        _, status = os.waitpid(pid, 0)
    if not text:
        raise ChildFailed(f"the child said nothing, its wait status is {status:#x}")
    kind, value = marshal.loads(text)
    if kind == "result":
        return value
    if kind == "syscall":
        raise SyscallError(*value)
    if kind == "shoal":
        raise next(c for c in ShoalError.__subclasses__() if c.__name__ == value[0])(
            value[1], why=value[2], fix=value[3]
        )
    raise ChildFailed(value)


def _be_child(function: Callable[[], object], flags: int, write_end: Fd) -> NoReturn:
    """Run `function`, tell the parent, and end without any of the test runner's own clean-up."""
    signal.alarm(_DEADLINE_S)
    try:
        if flags & namespaces.CLONE_NEWNS:
            mounts.set_propagation("/", mounts.MS_PRIVATE, recursive=True)
        message: tuple[str, object] = ("result", function())
    except SyscallError as error:
        message = ("syscall", (error.syscall, error.object, error.errno))
    except ShoalError as error:
        message = ("shoal", (type(error).__name__, error.what, error.why, error.fix))
    except BaseException as error:  # noqa: BLE001 - the edge of a process
        message = ("failure", f"{type(error).__name__}: {error}")
    try:
        data = marshal.dumps(message)
        while data:
            data = data[os.write(write_end.fileno(), data) :]
    finally:
        os._exit(0)


def _read_all(fd: Fd) -> bytes:
    parts = []
    while part := os.read(fd.fileno(), 65536):
        parts.append(part)
    return b"".join(parts)
