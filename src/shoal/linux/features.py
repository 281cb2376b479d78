"""What this kernel and this machine offer, why something is missing, and what to do about it.

Used by shoald at its start and by `info`. Every probe asks the kernel itself instead of comparing versions, except
where nothing can be asked; none changes the machine, and none makes a process.
"""

from __future__ import annotations

import ctypes
import errno
import os

from shoal.errors import ShoalError, SyscallError
from shoal.linux.capabilities import all_known, bounding_set, names
from shoal.linux.cgroups.bpf import load_device_program
from shoal.linux.cgroups.device_rules import DevicePolicy, bpf_program
from shoal.linux.cgroups.layout import Layout
from shoal.linux.cgroups.layout import detect as detect_cgroups
from shoal.linux.fd import Fd
from shoal.linux.libc import (
    AT_FDCWD,
    SYS_clone3,
    SYS_close_range,
    SYS_mount_setattr,
    SYS_seccomp,
    syscall,
)
from shoal.linux.mounts import fsconfig_set_string, fsopen
from shoal.linux.namespaces import CLONE_NEWUSER, FLAGS
from shoal.linux.overlay import looks_at_options
from shoal.linux.pidfd import pidfd_open
from shoal.linux.rootfs import RESOLVE_IN_ROOT, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SECCOMP_GET_ACTION_AVAIL = 2
_SECCOMP_RET_KILL_PROCESS = 0x80000000
_FILTERED = "a seccomp filter hides it"


class Feature:
    """One thing that the machine can or can't do: `reason` and `fix` are empty when it can."""

    __slots__ = ("available", "fix", "name", "reason")

    def __init__(self, name: str, available: bool, reason: str = "", fix: str = "") -> None:
        self.name = name
        self.available = available
        self.reason = reason
        self.fix = fix

    def __repr__(self) -> str:
        return f"Feature({self.name!r}, {self.available}, {self.reason!r}, {self.fix!r})"


def detect() -> list[Feature]:
    """Every feature that shoal makes use of, in the order in which it would tell them. About a millisecond.

    Needs root for true answers; a refusal for want of privilege shows up as a reason.
    """
    return [
        *_system_calls(),
        *_namespaces(),
        *_file_systems(),
        *_cgroups(),
        _seccomp(),
        _capabilities(),
    ]


def available(features: list[Feature], name: str) -> bool:
    """Whether the feature `name` is there; False for a name that was not probed."""
    return any(feature.name == name and feature.available for feature in features)


def kernel_version(release: str) -> tuple[int, int]:
    """(6, 1) for "6.1.0-13-amd64"; (0, 0) for what is no release."""
    parts = release.split(".")
    if len(parts) < 2 or not parts[0].isdigit():
        return 0, 0
    minor = ""
    for character in parts[1]:
        if not character.isdigit():
            break
        minor += character
    return int(parts[0]), int(minor or 0)


def _probe(name: str, since: str, ask: Callable[[], object], *, present: tuple[int, ...] = ()) -> Feature:
    """The feature that `ask` tries; the errnos in `present` say that the call exists and disliked its arguments."""
    try:
        ask()
    except SyscallError as error:
        if error.errno in present:
            return Feature(name, True)
        if error.errno == errno.ENOSYS:
            return Feature(name, False, f"the kernel is older than {since}, or {_FILTERED}", "upgrade the kernel")
        if error.errno == errno.EPERM:
            return Feature(name, False, f"not permitted, or {_FILTERED}", "run as root")
        return Feature(name, False, str(error))
    return Feature(name, True)


def _system_calls() -> list[Feature]:
    return [
        _probe("clone3", "5.3", lambda: syscall(SYS_clone3, "clone3", "", None, 0), present=(errno.EINVAL,)),
        _probe("pidfd", "5.3", lambda: pidfd_open(os.getpid()).close()),
        _exit_status(),
        _probe("openat2", "5.6", lambda: openat2(AT_FDCWD, "/", os.O_PATH, resolve=RESOLVE_IN_ROOT).close()),
        _probe("mount-api", "5.2", lambda: fsopen("tmpfs").close()),
        _probe("mount_setattr", "5.12", _ask_mount_setattr, present=(errno.EINVAL, errno.EBADF)),
        _probe("close_range", "5.9", _ask_close_range, present=(errno.EINVAL,)),
    ]


def _ask_mount_setattr() -> None:
    syscall(SYS_mount_setattr, "mount_setattr", "", -1, b"", 0, None, 0)


def _ask_close_range() -> None:
    syscall(SYS_close_range, "close_range", "", 1, 0, 0)  # an empty range: EINVAL where the call exists


def _exit_status() -> Feature:
    """PIDFD_INFO_EXIT can only be asked about a process that has ended, so the version must tell."""
    if kernel_version(os.uname().release) >= (6, 15):
        return Feature("pidfd-exit-status", True)
    return Feature(
        "pidfd-exit-status",
        False,
        "the kernel is older than 6.15",
        "upgrade the kernel, or exit codes are unknown when a supervisor and shoald die together",
    )


def _namespaces() -> list[Feature]:
    features = []
    for name, flag in FLAGS.items():
        if not os.path.exists(f"/proc/self/ns/{name}"):
            reason = f"the kernel is built without {name} namespaces"
            features.append(Feature(f"namespace-{name}", False, reason, "use a distribution's kernel"))
        elif flag == CLONE_NEWUSER and _sysctl_is_zero("/proc/sys/user/max_user_namespaces"):
            fix = "sysctl user.max_user_namespaces=10000"
            features.append(Feature("namespace-user", False, "user.max_user_namespaces is 0", fix))
        else:
            features.append(Feature(f"namespace-{name}", True))
    return features


def _sysctl_is_zero(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() == "0"
    except OSError:
        return False


def _file_systems() -> list[Feature]:
    try:
        fs_fd = fsopen("overlay")
    except SyscallError as error:
        missing = error.errno == errno.ENODEV
        reason = "the kernel has no overlay file system" if missing else str(error)
        fix = "modprobe overlay; without it images are copied (vfs)" if missing else ""
        return [Feature("overlay", False, reason, fix), Feature("overlay-lowerdir+", False, "no overlay", fix)]
    with fs_fd:
        layers = _probe("overlay-lowerdir+", "6.5", lambda: _add_layer(fs_fd))
        if not layers.available:
            layers.reason = "the kernel is older than 6.5: images of more than about 240 layers can't be mounted"
            layers.fix = "upgrade the kernel"
    return [Feature("overlay", True), layers]


def _add_layer(fs_fd: Fd) -> None:
    if not looks_at_options(fs_fd):
        raise SyscallError("fsconfig", "lowerdir+=/", errno.EINVAL)
    fsconfig_set_string(fs_fd, "lowerdir+", "/")


def _cgroups() -> list[Feature]:
    try:
        layout = detect_cgroups()
    except ShoalError as error:
        return [Feature("cgroups", False, str(error), error.fix)]
    features = [Feature(f"cgroups-{layout.version}", True)]
    features += [Feature(f"cgroup-{name}", True) for name in layout.controllers]
    features += [
        Feature(f"cgroup-{name}", False, reason, _controller_fix(layout)) for name, reason in layout.reasons.items()
    ]
    if layout.version == "v2":
        features.append(_device_program())
    features.append(_quick_attach(layout))
    return features


def _controller_fix(layout: Layout) -> str:
    if layout.version == "v2":
        return "remove cgroup_disable= from the kernel's command line, or delegate the controller"
    return "boot with systemd.unified_cgroup_hierarchy=1 for cgroup v2"


def _device_program() -> Feature:
    """Version 2 limits devices by a program: the kernel must take one."""
    return _probe("cgroup-device-program", "4.15", lambda: load_device_program(bpf_program(DevicePolicy([]))).close())


def _quick_attach(layout: Layout) -> Feature:
    """Version 1 moves each process into its cgroup by a write that waits for an RCU grace period, but with this."""
    name = "cgroup-quick-attach"
    if layout.version == "v2":
        return Feature(name, True)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
        if any(" - cgroup" in line and "favordynmods" in line for line in table):
            return Feature(name, True)
    return Feature(
        name,
        False,
        "moving a process into a cgroup of version 1 takes 6 to 14 ms; shoal keeps attached processes ready",
        f"mount -o remount,favordynmods {layout.unified or next(iter(layout.mounts))}",
    )


def _seccomp() -> Feature:
    action = ctypes.c_uint32(_SECCOMP_RET_KILL_PROCESS)
    # SAFETY: `action` outlives the call, which only reads it.
    return _probe(
        "seccomp",
        "4.14",
        lambda: syscall(SYS_seccomp, "seccomp", "", _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)),
    )


def _capabilities() -> Feature:
    try:
        missing = names(all_known() & ~bounding_set())
    except SyscallError as error:
        return Feature("all-capabilities", False, str(error), error.fix)
    if not missing:
        return Feature("all-capabilities", True)
    return Feature(
        "all-capabilities",
        False,
        f"this process lacks {', '.join(missing)}, so no container can have it",
        "start shoald with all capabilities",
    )
