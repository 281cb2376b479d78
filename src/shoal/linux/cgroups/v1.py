"""Control groups of version 1: a hierarchy for each controller, and for systemd's name.

Used by the supervisor and by shoald. Also the hybrid layout, where the controllers are on version 1 and a
cgroup2 tree stands beside them for the rest (hugetlb on some machines): a group gets its directory there only
when a limit needs it, because a group of version 2 can't be renamed, and so can't be kept ready.
"""

from __future__ import annotations

import os
import time

from shoal.errors import InvalidArgument, SyscallError, Unsupported
from shoal.linux.cgroups.cgroup import FREEZE_S, Cgroup, make_directories, make_directory, remove_tree
from shoal.linux.cgroups.device_rules import device_rules
from shoal.linux.cgroups.files import read_number, read_or_empty, read_table, write_each, write_value
from shoal.linux.cgroups.settings import v1_settings
from shoal.linux.cgroups.usage import NS_PER_TICK, oom_kills_of, parse_blkio, v1_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups.settings import Section
    from shoal.linux.cgroups.usage import BlockEntry, Usage

# How long one try to freeze may take, and how long the processes may go on before the next.
_FREEZE_TRY_S = 0.05
_FREEZE_AGAIN_S = 0.002


class V1Cgroup(Cgroup):
    """A control group with a directory in every hierarchy of version 1."""

    __slots__ = ("_controllers", "_roots", "_unified")

    def __init__(self, path: str, roots: tuple[str, ...], controllers: dict[str, str], unified: str | None) -> None:
        """`roots`: a mount point a hierarchy; `controllers`: name -> mount point; `unified`: that of cgroup2."""
        super().__init__(path)
        self._roots = roots
        self._controllers = controllers
        self._unified = unified

    def directories(self) -> list[str]:
        """Its directories, one for each hierarchy of version 1."""
        return [root + self.path for root in self._roots]

    def directory_of(self, controller: str) -> str | None:
        """Its directory under `controller`; on a hybrid machine that may be in the cgroup2 tree."""
        root = self._controllers.get(controller)
        if root is not None:
            return root + self.path
        if self._unified is not None and controller in read_or_empty(self._unified, "cgroup.controllers").split():
            return self._in_unified(self._unified, controller)
        return None

    def create(self) -> None:
        """Make its directories.

        Raises: SyscallError (EBUSY: there is such a group, with processes in it).
        """
        for directory in self.directories():
            make_directory(directory)
        cpuset = self._controllers.get("cpuset")
        if cpuset is not None:
            fill_cpuset(cpuset, self.path)

    def _in_unified(self, unified: str, controller: str) -> str:
        """Its directory in the cgroup2 tree, made, enabled for `controller` and filled with its processes."""
        directory = unified + self.path
        if not os.path.isdir(directory):
            parent = unified
            for part in self.path.strip("/").split("/"):
                write_value(parent, "cgroup.subtree_control", f"+{controller}")
                parent = f"{parent}/{part}"
                make_directories(parent)
            for pid in self.pids():
                write_value(directory, "cgroup.procs", str(pid))
        return directory

    def attach(self, pid: int) -> None:
        """Move the process into the group in all hierarchies.

        The first write after a quiet moment waits 6 to 14 ms for an RCU grace period, the others 0.1 ms each.

        Raises: SyscallError (ESRCH: no such process; EINVAL: a kernel thread).
        """
        super().attach(pid)
        if self._unified is not None and os.path.isdir(self._unified + self.path):
            write_value(self._unified + self.path, "cgroup.procs", str(pid))

    def apply(self, resources: Section) -> list[str]:
        """Limit the group; warnings for what this machine lacks.

        Raises: SyscallError; InvalidArgument.
        """
        settings = v1_settings(resources)
        for setting in settings:
            if setting.controller == "hugetlb" and "hugetlb" not in self._controllers:
                setting.file = setting.file.replace(".limit_in_bytes", ".max")  # the hybrid case
        warnings = self._write_settings(settings)
        rules = device_rules(resources)
        directory = self._controllers.get("devices")
        if directory is None:
            if rules:
                warnings.append("Your kernel does not support device rules. Every device is allowed.")
            return warnings
        while rules:
            # Neighbours of one kind together: most containers have one "deny" and a dozen of "allow".
            allow = rules[0].allow
            count = next((number for number, rule in enumerate(rules) if rule.allow != allow), len(rules))
            lines = [rule.line() for rule in rules[:count]]
            write_each(directory + self.path, "devices.allow" if allow else "devices.deny", lines)
            del rules[:count]
        return warnings

    def kill(self, sig: int) -> None:
        """Send `sig` to every process in the group and below.

        They are frozen while it is sent, so that none can fork out of sight and no pid can change its owner.

        Raises: SyscallError.
        """
        if "freezer" not in self._controllers or self.is_frozen() or not self.pids():
            self._signal_all(sig)
            return
        self._write_freezer("FROZEN")
        try:
            self._signal_all(sig)
        finally:
            self._write_freezer("THAWED")

    def freeze(self) -> None:
        """Stop every process in the group and below; done when it returns.

        Raises: Unsupported without the freezer; SyscallError; Unavailable.
        """
        # While processes fork, a freeze can stay half done for ever (kernels up to 6.18 at least): thaw, start again.
        deadline = time.monotonic() + FREEZE_S
        while time.monotonic() < deadline:
            self._write_freezer("FROZEN")
            if self._becomes_frozen(_FREEZE_TRY_S):
                return
            self._write_freezer("THAWED")
            time.sleep(_FREEZE_AGAIN_S)
        raise self._does_not_freeze()

    def thaw(self) -> None:
        """Let the processes go on.

        Raises: Unsupported without the freezer; SyscallError.
        """
        self._write_freezer("THAWED")

    def is_frozen(self) -> bool:
        """Whether the group, or one above it, is frozen."""
        directory = self._controllers.get("freezer")
        if directory is None:
            return False
        return read_or_empty(directory + self.path, "freezer.state").strip() == "FROZEN"

    def _write_freezer(self, state: str) -> None:
        directory = self._controllers.get("freezer")
        if directory is None:
            raise Unsupported("cannot pause", why="the freezer cgroup is not mounted")
        write_value(directory + self.path, "freezer.state", state)

    def oom_kills(self) -> int:
        """How many processes the kernel killed for want of memory (counted since Linux 4.13)."""
        directory = self._controllers.get("memory")
        if directory is None:
            return 0
        return oom_kills_of(read_or_empty(directory + self.path, "memory.oom_control"))

    def rename(self, new_path: str) -> None:
        """Give the group another name under the same parent, in every hierarchy; processes and limits stay.

        When one hierarchy refuses, those before it get the old name back.

        Raises: InvalidArgument for another parent; Unsupported when a limit has given the group a directory in the
        cgroup2 tree too; SyscallError (EEXIST: the name is taken).
        """
        if self._unified is not None and os.path.isdir(self._unified + self.path):
            super().rename(new_path)
        if os.path.dirname(new_path) != os.path.dirname(self.path):
            raise InvalidArgument(
                f"cannot rename cgroup {self.path} to {new_path}", why="the parent must stay the same"
            )
        done: list[tuple[str, str]] = []
        for root in self._roots:
            try:
                os.rename(root + self.path, root + new_path)
            except OSError as error:
                _rename_back(done)
                raise SyscallError("rename", root + new_path, error.errno or 0) from None
            done.append((root + new_path, root + self.path))
        self.path = new_path

    def _remove(self, tries: int) -> None:
        super()._remove(tries)
        if self._unified is not None:
            remove_tree(self._unified + self.path, tries)

    def usage(self) -> Usage:
        """What the group has used; zeroes for controllers that are not mounted."""
        memory = self._place("memory")
        accounts = self._place("cpuacct")
        cpu = self._place("cpu")
        pids = self._place("pids")
        ticks = read_table(accounts, "cpuacct.stat")
        throttling = read_table(cpu, "cpu.stat")
        return {
            "memory_bytes": read_number(memory, "memory.usage_in_bytes") or 0,
            "memory_max_bytes": read_number(memory, "memory.max_usage_in_bytes"),
            "memory_limit_bytes": v1_limit(read_number(memory, "memory.limit_in_bytes")),
            "memory_failures": read_number(memory, "memory.failcnt"),
            "memory_stats": read_table(memory, "memory.stat"),
            "cpu_ns": read_number(accounts, "cpuacct.usage") or 0,
            "cpu_user_ns": ticks.get("user", 0) * NS_PER_TICK,
            "cpu_system_ns": ticks.get("system", 0) * NS_PER_TICK,
            "per_cpu_ns": [int(part) for part in read_or_empty(accounts, "cpuacct.usage_percpu").split()],
            "throttling_periods": throttling.get("nr_periods", 0),
            "throttled_periods": throttling.get("nr_throttled", 0),
            "throttled_ns": throttling.get("throttled_time", 0),
            "pids": read_number(pids, "pids.current") or 0,
            "pids_limit": read_number(pids, "pids.max"),
            "io_bytes": self._block_counters("service_bytes"),
            "io_operations": self._block_counters("serviced"),
            "oom_kills": self.oom_kills(),
        }

    def _place(self, controller: str) -> str:
        """Its directory under `controller`, or a place where no control file can be."""
        root = self._controllers.get(controller)
        return "/dev/null" if root is None else root + self.path

    def _block_counters(self, counter: str) -> list[BlockEntry]:
        """The counters of BFQ where it is in use, else those of the throttling layer."""
        place = self._place("blkio")
        return parse_blkio(read_or_empty(place, f"blkio.bfq.io_{counter}_recursive")) or parse_blkio(
            read_or_empty(place, f"blkio.throttle.io_{counter}_recursive")
        )


def _rename_back(done: list[tuple[str, str]]) -> None:
    for new, old in done:
        try:
            os.rename(new, old)
        except OSError:
            pass  # the cause is told by the caller; the group keeps the new name in this hierarchy


def fill_cpuset(root: str, path: str) -> None:
    """Fill in cpuset.cpus and cpuset.mems of `path` and the groups above it where they are empty.

    Without, no process can be attached (ENOSPC). cpuset(7). The parent is told to do it for the next groups
    itself (cgroup.clone_children), which saves four file accesses a group.

    Raises: SyscallError.
    """
    names = ("cpuset.cpus", "cpuset.mems")
    if all(read_or_empty(root + path, name).strip() for name in names):
        return
    parent = os.path.dirname(path)
    if parent != "/":
        fill_cpuset(root, parent)
    above = root + parent.rstrip("/")
    for name in names:
        if not read_or_empty(root + path, name).strip():
            write_value(root + path, name, read_or_empty(above, name).strip())
    if parent != "/":
        write_value(above, "cgroup.clone_children", "1")
