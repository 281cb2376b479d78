"""User namespaces that serve as tables of identities: for idmapped mounts, without any process in them.

mount_setattr(2) §ID-mapped mounts. Used where containers are launched, outside of any user namespace of theirs.
"""

from __future__ import annotations

import os
import signal

from shoal.linux.clone import clone3
from shoal.linux.fd import Fd
from shoal.linux.mounts import MOUNT_ATTR_IDMAP, mount_setattr
from shoal.linux.namespaces import CLONE_NEWUSER, namespace_fd, write_user_maps
from shoal.linux.pidfd import pidfd_send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypeAlias

    # (inside, outside, count), as in /proc/PID/uid_map.
    Ranges: TypeAlias = list[tuple[int, int, int]]


def user_namespace(uid_map: Ranges, gid_map: Ranges) -> Fd:
    """A descriptor of a new user namespace with these identities, owned by the caller.

    A child is in it while it is given its maps, and ends before this returns: the descriptor keeps it.

    Raises: SyscallError; InvalidArgument for a malformed map.
    """
    reading, writing = os.pipe()
    try:
        pid, pidfd = clone3(CLONE_NEWUSER)
        if pidfd is None:
            _wait_for_the_end(reading, writing)
        with pidfd:
            try:
                write_user_maps(pid, uid_map, gid_map)
                return namespace_fd(pid, "user")
            finally:
                pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, 0)
    finally:
        os.close(reading)
        os.close(writing)


def _wait_for_the_end(reading: int, writing: int) -> NoReturn:
    # SAFETY: a copy of a single-threaded process. It ends by SIGKILL, or with its parent, whose end of the pipe closes.
    os.close(writing)
    os.read(reading, 1)
    os._exit(0)


def map_identities(tree: Fd, namespace: Fd, *, recursive: bool) -> None:
    """Shows the detached mount `tree` with the identities of `namespace`. Linux 5.12.

    Raises: SyscallError (EINVAL: the file system can't do it).
    """
    mount_setattr(tree, attr_set=MOUNT_ATTR_IDMAP, userns_fd=namespace.fileno(), recursive=recursive)
