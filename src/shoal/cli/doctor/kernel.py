"""The kernel: its version, its system calls, namespaces, file systems and control groups."""

from __future__ import annotations

import os
import signal

from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding, read_text
from shoal.errors import ShoalError
from shoal.linux import mounts
from shoal.linux.features import detect, kernel_version
from shoal.linux.libc import AT_FDCWD
from shoal.linux.namespaces import CLONE_NEWUSER, namespace_fd, unshare, write_user_maps
from shoal.linux.prctl import set_pdeathsig

AREA = "kernel"
_MADE_FOR = (6, 1)
# What containers can't do without. The rest is told as a warning: something is slower, or can't be limited.
_NEEDED = frozenset(
    (
        *("clone3", "pidfd", "openat2", "mount-api", "mount_setattr", "close_range", "seccomp", "cgroups"),
        *(f"namespace-{name}" for name in ("mnt", "pid", "net", "ipc", "uts")),
    )
)


def check_kernel() -> list[Finding]:
    """The kernel's version and each feature that shoal makes use of."""
    found = [_version()]
    for feature in detect():
        state = OK if feature.available else PROBLEM if feature.name in _NEEDED else WARNING
        found.append(Finding(AREA, feature.name, state, feature.reason, feature.fix))
    return [*found, _unprivileged_namespaces(), _idmapped_mounts()]


def _version() -> Finding:
    release = os.uname().release
    if kernel_version(release) >= _MADE_FOR:
        return Finding(AREA, "version", OK, release)
    wanted = ".".join(map(str, _MADE_FOR))
    return Finding(AREA, "version", WARNING, f"{release}; shoal is made for {wanted} and later", "upgrade the kernel")


def _unprivileged_namespaces() -> Finding:
    """Whether users without rights may make user namespaces: what running without root needs."""
    name = "unprivileged-user-namespaces"
    for path, refusing, fix in (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ):
        if read_text(path) == refusing:
            return Finding(AREA, name, WARNING, f"{path} is {refusing}: nothing can run without root", fix)
    return Finding(AREA, name, OK)


def _idmapped_mounts() -> Finding:
    """Whether a mount can show other owners: tried on a detached copy of a mount, which nobody ever sees."""
    name = "idmapped-mounts"
    reason = "could not be tried"
    try:
        pid = os.fork()
        if not pid:
            _wait_in_user_namespace()
        try:
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            write_user_maps(pid, [(0, 100000, 65536)], [(0, 100000, 65536)])
            with mounts.open_tree(AT_FDCWD, "/", mounts.OPEN_TREE_CLONE) as tree, namespace_fd(pid, "user") as user:
                mounts.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_IDMAP, userns_fd=user.fileno())
            return Finding(AREA, name, OK)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    except (ShoalError, OSError) as error:
        reason = str(error)
    return Finding(AREA, name, WARNING, reason, "needs kernel 5.12, and a file system below / that can (not every one)")


def _wait_in_user_namespace() -> None:
    try:
        set_pdeathsig(signal.SIGKILL)  # it must not outlive the one who asks
        unshare(CLONE_NEWUSER)
        os.kill(os.getpid(), signal.SIGSTOP)
    finally:
        os._exit(1)
