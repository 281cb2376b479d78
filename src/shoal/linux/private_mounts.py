"""Threads of shoald with mounts of their own: what is mounted there never shows in the host's table.

shoald does not fork, but each of its threads may have a mount namespace for itself: unshare(CLONE_NEWNS) also gives
the thread its own root and directory, and both end with it. Descriptors are the process's: what a thread opened
others may use, and a walk from one finds the mounts below it as long as the namespace lives.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Generic, TypeVar

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.libc import AT_FDCWD
from shoal.linux.mounts import (
    MNT_DETACH,
    MS_SLAVE,
    OPEN_TREE_CLONE,
    open_tree,
    set_propagation,
    umount2,
)
from shoal.linux.namespaces import CLONE_NEWNS, setns, unshare
from shoal.linux.procfs import process_exists

T = TypeVar("T")

_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# include/uapi/linux/sched.h; not a namespace, so not among those of namespaces.py
_CLONE_FS = 0x200


def in_private_mounts(mount_point: str, work: Callable[[Fd], T]) -> T:
    """What `work` returns, called in a thread whose mount namespace is its own, with `mount_point` opened O_PATH.

    What `work` mounts on it is gone when this returns: nothing is pinned beyond descriptors that are still open. What
    the host unmounts meanwhile goes away here, too. Blocks; needs CAP_SYS_ADMIN.

    Raises: what `work` raises; SyscallError. Source: mount_namespaces(7).
    """

    def run() -> T:
        unshare(CLONE_NEWNS)
        set_propagation("/", MS_SLAVE, recursive=True)
        with ExitStack() as stack:
            place = stack.enter_context(_open(mount_point))
            stack.callback(_unmount, mount_point)
            return work(place)

    return _Apart(run).result()


def _unmount(mount_point: str) -> None:
    # Before the thread ends, because what only its end lets go of is let go of a little later.
    try:
        umount2(mount_point, MNT_DETACH)
    except SyscallError:
        pass  # EINVAL: nothing was mounted


def root_of_process(pid: int, start_ticks: int | None) -> Fd | None:
    """The root directory of a process (O_PATH), with all that is mounted below it; None when the process has ended.

    `start_ticks` tells the process from a later one of the same pid. Source: proc_pid_root(5).
    """
    try:
        root = Fd(os.open(f"/proc/{pid}/root", _PLACE))
    except OSError:
        return None
    # After the open: a process that is there now was there then, and it was the one that was opened.
    if start_ticks is not None and not process_exists(pid, start_ticks):
        root.close()
        return None
    return root


def bare_root_of_process(pid: int, start_ticks: int | None) -> Fd | None:
    """A copy of the mount that is the root of a process, and of none below it; None when the process has ended.

    The copy is attached nowhere. Linux 5.2. Raises: SyscallError. Source: open_tree(2).
    """
    try:
        namespace = Fd(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return None
    with namespace:
        if start_ticks is not None and not process_exists(pid, start_ticks):
            return None

        def run() -> Fd:
            # SAFETY: from setns on, names lead into the container. This thread opens nothing by name but its root,
            # and no module is imported here. It is in no other namespace of the container, and so unseen from there.
            unshare(_CLONE_FS)
            setns(namespace, CLONE_NEWNS)
            return open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE)

        return _Apart(run).result()


class _Apart(Generic[T]):
    """A call in a thread of its own, since a thread can't go back to what it shared with the others."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._values: list[T] = []
        self._error: BaseException | None = None

    def result(self) -> T:
        """What the call returns, or raises."""
        thread = threading.Thread(target=self._run, name="shoal-mounts")
        thread.start()
        thread.join()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._call())
        except BaseException as error:  # noqa: BLE001 - the thread's edge: raised again by `result`
            self._error = error


def _open(path: str) -> Fd:
    try:
        return Fd(os.open(path, _PLACE))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
