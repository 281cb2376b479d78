"""Being told when a control group runs out of memory.

Used by shoald. Version 1: an eventfd registered with memory.oom_control, which counts up as the OOM killer is called,
a moment before it kills, and once more when the group is removed. Version 2: a change of memory.events.
Documentation/admin-guide/cgroup-v1/memory.rst §10, cgroup-v2.rst §memory.events.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.cgroups.cgroup import Cgroup
from shoal.linux.cgroups.files import write_value
from shoal.linux.fd import Fd
from shoal.linux.inotify import IN_MODIFY, Inotify

_READ_BYTES = 4096


def oom_events(cgroup: Cgroup) -> Fd | None:
    """A non-blocking descriptor, the caller's, that becomes readable when the group may have run out of memory.

    None where the group has no memory controller, and on version 2 where it is gone.

    Raises: SyscallError (ENOENT: the group is gone; EMFILE).
    """
    directory = cgroup.directory_of("memory")
    if directory is None:
        return None
    if os.path.exists(f"{directory}/memory.oom_control"):
        return _eventfd(directory)
    queue = Inotify()
    try:
        queue.add(f"{directory}/memory.events", IN_MODIFY)
    except SyscallError:
        queue.close()
        raise
    return Fd(queue.fd.detach())


def _eventfd(directory: str) -> Fd:
    events = Fd(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
    try:
        with _opened(f"{directory}/memory.oom_control") as control:
            write_value(directory, "cgroup.event_control", f"{events.fileno()} {control.fileno()}")
    except SyscallError:
        events.close()
        raise
    return events


def _opened(path: str) -> Fd:
    try:
        return Fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def drain(events: Fd) -> None:
    """Takes what has come, so that the descriptor becomes readable with the next."""
    try:
        os.read(events.fileno(), _READ_BYTES)
    except BlockingIOError:
        pass  # nothing has
