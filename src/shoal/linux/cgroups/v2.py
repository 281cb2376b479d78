"""Control groups of version 2: one tree for all controllers.

Used by the supervisor and by shoald. Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import errno
import os

from shoal.errors import SyscallError
from shoal.linux.cgroups.bpf import set_device_program
from shoal.linux.cgroups.cgroup import FREEZE_S, Cgroup, is_sigkill, make_directories, make_directory
from shoal.linux.cgroups.device_rules import DevicePolicy, bpf_program, device_rules
from shoal.linux.cgroups.files import read_number, read_or_empty, read_table, write_value
from shoal.linux.cgroups.settings import v2_settings
from shoal.linux.cgroups.usage import oom_kills_of, parse_io_stat
from shoal.linux.fd import Fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups.settings import Section
    from shoal.linux.cgroups.usage import Usage

_NS_PER_US = 1000


class V2Cgroup(Cgroup):
    """A control group of version 2, under the mount point `root`."""

    __slots__ = ("_root",)

    def __init__(self, path: str, root: str) -> None:
        super().__init__(path)
        self._root = root

    def directories(self) -> list[str]:
        """Its one directory."""
        return [self._root + self.path]

    def directory_of(self, controller: str) -> str | None:
        """Its directory, if `controller` is enabled there; cgroup.* and unknown files are everywhere."""
        directory = self._root + self.path
        if controller == "cgroup" or controller in read_or_empty(directory, "cgroup.controllers").split():
            return directory
        return None

    def create(self) -> None:
        """Make its directory, with every controller that its parents have.

        Raises: SyscallError (EBUSY: there is such a group, with processes in it, or processes in a group
        above).
        """
        parts = self.path.strip("/").split("/")
        above = self._root
        for part in parts[:-1]:
            enable_controllers(above)
            above = f"{above}/{part}"
            make_directories(above)
        enable_controllers(above)
        make_directory(self._root + self.path)

    def directory_fd(self) -> Fd:
        """The directory for CLONE_INTO_CGROUP, owned by the caller.

        Raises: SyscallError.
        """
        return self._open(os.O_PATH)

    def _open(self, flags: int) -> Fd:
        path = self._root + self.path
        try:
            return Fd(os.open(path, flags | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise SyscallError("open", path, error.errno or 0) from None

    def apply(self, resources: Section) -> list[str]:
        """Limit the group; warnings for what this machine lacks.

        Raises: SyscallError; InvalidArgument.
        """
        settings = v2_settings(resources)
        rules = device_rules(resources)
        warnings = self._write_settings(settings)
        if rules:
            # Not O_PATH, which bpf(2) does not take.
            with self._open(os.O_RDONLY) as directory:
                set_device_program(directory, bpf_program(DevicePolicy(rules)))
        return warnings

    def kill(self, sig: int) -> None:
        """Send `sig` to every process in the group and below; SIGKILL in one step (cgroup.kill, Linux 5.14).

        Raises: SyscallError.
        """
        if is_sigkill(sig):
            try:
                write_value(self._root + self.path, "cgroup.kill", "1")
                return
            except SyscallError as error:
                if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM):
                    raise
        self._signal_all(sig)

    def freeze(self) -> None:
        """Stop every process in the group and below; done when it returns. Linux 5.2.

        Raises: SyscallError; Unavailable.
        """
        write_value(self._root + self.path, "cgroup.freeze", "1")
        if not self._becomes_frozen(FREEZE_S):
            self.thaw()
            raise self._does_not_freeze()

    def thaw(self) -> None:
        """Let the processes go on.

        Raises: SyscallError.
        """
        write_value(self._root + self.path, "cgroup.freeze", "0")

    def is_frozen(self) -> bool:
        """Whether the group, or one above it, is frozen."""
        return read_table(self._root + self.path, "cgroup.events").get("frozen", 0) == 1

    def is_populated(self) -> bool:
        """Whether there is a process in the group or below it."""
        return read_table(self._root + self.path, "cgroup.events").get("populated", 0) == 1

    def oom_kills(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return oom_kills_of(read_or_empty(self._root + self.path, "memory.events"))

    def usage(self) -> Usage:
        """What the group has used; zeroes for controllers that are not enabled."""
        directory = self._root + self.path
        cpu = read_table(directory, "cpu.stat")
        sizes, counts = parse_io_stat(read_or_empty(directory, "io.stat"))
        return {
            "memory_bytes": read_number(directory, "memory.current") or 0,
            "memory_max_bytes": read_number(directory, "memory.peak"),
            "memory_limit_bytes": read_number(directory, "memory.max"),
            "memory_failures": read_table(directory, "memory.events").get("oom"),
            "memory_stats": read_table(directory, "memory.stat"),
            "cpu_ns": cpu.get("usage_usec", 0) * _NS_PER_US,
            "cpu_user_ns": cpu.get("user_usec", 0) * _NS_PER_US,
            "cpu_system_ns": cpu.get("system_usec", 0) * _NS_PER_US,
            "per_cpu_ns": [],
            "throttling_periods": cpu.get("nr_periods", 0),
            "throttled_periods": cpu.get("nr_throttled", 0),
            "throttled_ns": cpu.get("throttled_usec", 0) * _NS_PER_US,
            "pids": read_number(directory, "pids.current") or 0,
            "pids_limit": read_number(directory, "pids.max"),
            "io_bytes": sizes,
            "io_operations": counts,
            "oom_kills": self.oom_kills(),
        }


def enable_controllers(directory: str) -> None:
    """Give the children of `directory` every controller that it has itself, in one write.

    A controller that can't be handed down (it is threaded, or in use) is left out, and shows up as a warning
    of the limit that wants it.

    Raises: SyscallError (EBUSY: processes in `directory` itself, the rule of no internal processes).
    """
    available = set(read_or_empty(directory, "cgroup.controllers").split())
    missing = sorted(available - set(read_or_empty(directory, "cgroup.subtree_control").split()))
    if not missing:
        return
    try:
        write_value(directory, "cgroup.subtree_control", " ".join(f"+{name}" for name in missing))
        return
    except SyscallError as error:
        if error.errno == errno.EBUSY:
            error.fix = "move the processes of this cgroup into a cgroup below it"
            raise
    for name in missing:
        try:
            write_value(directory, "cgroup.subtree_control", f"+{name}")
        except SyscallError:
            pass  # this one only; apply() warns if a limit wants it
