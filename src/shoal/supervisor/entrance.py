"""How a child gets into its cgroups of version 1: by itself, through files that the supervisor opened.

A write of another process's pid, or of one's own to `cgroup.procs`, waits 6 to 16 ms for an RCU grace period after a
quiet moment, because the kernel has to lock all thread groups. A thread that moves itself needs no such lock (Linux
5.5): "0" written to `tasks` takes 0.1 ms in all hierarchies together, and a child has one thread. The kernel checks the
rights of whoever opened the file, so it does not matter what the child may do by then.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.linux.cgroups import Cgroup, Layout


def open_entrances(cgroup: Cgroup, layout: Layout) -> list[int]:
    """The files through which a process enters, one for each hierarchy, owned by the caller. Raises: SyscallError."""
    paths = [f"{directory}/tasks" for directory in cgroup.directories()]
    if layout.unified is not None and os.path.isdir(layout.unified + cgroup.path):
        # A hybrid layout in which cgroup2 has one of the controllers. It has no `tasks`; this one waits.
        paths.append(f"{layout.unified}{cgroup.path}/cgroup.procs")
    entrances: list[int] = []
    try:
        for path in paths:
            entrances.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        for fd in entrances:
            os.close(fd)
        raise SyscallError("open", path, error.errno or 0) from None
    return entrances


def enter(entrances: Sequence[int]) -> None:
    """Moves the calling thread in, and closes the files. Raises: SyscallError."""
    for fd in entrances:
        try:
            os.write(fd, b"0")
        except OSError as error:
            raise SyscallError("write", "cgroup tasks", error.errno or 0) from None
        os.close(fd)
