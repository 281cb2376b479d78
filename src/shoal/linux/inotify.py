"""Changes of files as they happen. inotify(7).

Used by shoald (followers of logs) and by the supervisor (cgroup events of v2).
"""

from __future__ import annotations

import os
import struct

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.libc import (
    SYS_inotify_add_watch,
    SYS_inotify_init1,
    SYS_inotify_rm_watch,
    path_bytes,
    syscall,
)

# include/uapi/linux/inotify.h
IN_MODIFY = 0x002
IN_ATTRIB = 0x004
IN_CLOSE_WRITE = 0x008
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x01000000
IN_ONESHOT = 0x80000000

_EVENT = struct.Struct("iIII")
_READ_BYTES = 16384


class Inotify:
    """A queue of file events; its descriptor is for select and belongs to this object, a context manager."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        """Raises: SyscallError (EMFILE: fs.inotify.max_user_instances is reached)."""
        self.fd = Fd(syscall(SYS_inotify_init1, "inotify_init1", "", os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """The descriptor's number."""
        return self.fd.fileno()

    def add(self, path: str, mask: int) -> int:
        """The watch descriptor of `path`, whose events in `mask` are reported from now on.

        Raises: SyscallError (ENOSPC: fs.inotify.max_user_watches is reached).
        """
        return syscall(SYS_inotify_add_watch, "inotify_add_watch", path, self.fd, path_bytes(path), mask)

    def remove(self, watch: int) -> None:
        """Stop watching; an IN_IGNORED event follows.

        Raises: SyscallError.
        """
        syscall(SYS_inotify_rm_watch, "inotify_rm_watch", str(watch), self.fd, watch)

    def read_nowait(self) -> list[tuple[int, int, str]]:
        """(watch, mask, name in a watched directory or "") of what happened; empty when nothing did.

        Raises: SyscallError.
        """
        try:
            buffer = os.read(self.fd.fileno(), _READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise SyscallError("read", "inotify", error.errno or 0) from None
        events = []
        offset = 0
        while offset < len(buffer):
            watch, mask, _, length = _EVENT.unpack_from(buffer, offset)
            offset += _EVENT.size
            name = buffer[offset : offset + length].rstrip(b"\0")
            events.append((watch, mask, os.fsdecode(name)))
            offset += length
        return events

    def close(self) -> None:
        """Close the queue with all its watches."""
        self.fd.close()

    def __enter__(self) -> Inotify:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
