"""How control groups are mounted on this machine.

Used by the supervisor and by shoald. Three layouts exist: version 2 alone; version 1 alone; and hybrid, which
is version 1 for the controllers with a cgroup2 tree beside it. cgroups(7).
"""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument, SyscallError, Unavailable
from shoal.linux.cgroups.cgroup import Cgroup
from shoal.linux.cgroups.files import read_or_empty
from shoal.linux.cgroups.v1 import V1Cgroup
from shoal.linux.cgroups.v2 import V2Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

# Controllers of version 1; other words among the options of a mount are flags.
_V1_CONTROLLERS = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "blkio",
    "devices",
    "freezer",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
)
# What works on version 2 without being a controller.
_V2_CORE = ("devices", "freezer")
_EXPECTED = ("cpu", "cpuset", "memory", "pids", "devices", "freezer")


class Layout:
    """The mounted hierarchies, and the maker of control groups in them.

    `version` is "v1" (hybrid too) or "v2"; `controllers` are the usable ones; `reasons` says, for each
    controller that is missing, why. `mounts` maps each mount point to its controllers (a name such as
    "name=systemd" too).
    """

    __slots__ = ("controllers", "mounts", "reasons", "unified", "version")

    def __init__(self, mounts: dict[str, tuple[str, ...]], unified: str | None) -> None:
        """`mounts`: those of version 1; `unified`: the mount point of version 2."""
        self.mounts = mounts
        self.unified = unified
        v1 = [name for names in mounts.values() for name in names if name in _V1_CONTROLLERS]
        v2 = read_or_empty(unified, "cgroup.controllers").split() if unified is not None else []
        self.version: Literal["v1", "v2"] = "v1" if v1 or unified is None else "v2"
        found = [*v1, *v2] if self.version == "v1" else [*v2, *_V2_CORE]
        self.controllers = tuple(dict.fromkeys(found))
        self.reasons = {name: self._reason(name) for name in _EXPECTED if name not in self.controllers}

    @property
    def is_hybrid(self) -> bool:
        """Whether version 1 has the controllers and a cgroup2 tree is mounted too."""
        return self.version == "v1" and self.unified is not None

    def _reason(self, controller: str) -> str:
        if self.version == "v1":
            return f"the {controller} hierarchy of cgroup v1 is not mounted"
        return f"{controller} is not among the cgroup.controllers of {self.unified}"

    def open(self, path: str) -> Cgroup:
        """The control group `path` ("/shoal/ID"), which may or may not exist.

        Raises: InvalidArgument for a path that is not absolute or leads elsewhere.
        """
        return self._cgroup(path)

    def create(self, path: str) -> Cgroup:
        """The new control group `path`, made with the missing ones above it in every hierarchy.

        An empty one of that name, left over from a crash, is replaced.

        Raises: InvalidArgument; SyscallError (EBUSY: a group of that name has processes in it).
        """
        group = self._cgroup(path)
        group.create()
        return group

    def _cgroup(self, path: str) -> V1Cgroup | V2Cgroup:
        parts = path.split("/")
        if not path.startswith("/") or path == "/" or ".." in parts or "." in parts or "" in parts[1:]:
            raise InvalidArgument(f"invalid cgroup path {path!r}", why="it is absolute and without . and ..")
        if self.version == "v2" and self.unified is not None:
            return V2Cgroup(path, self.unified)
        return V1Cgroup(path, tuple(self.mounts), self.roots(), self.unified)

    def roots(self) -> dict[str, str]:
        """Controller -> the mount point of its hierarchy of version 1."""
        return {name: point for point, names in self.mounts.items() for name in names if "=" not in name}

    def supports(self, controller: str, file: str) -> bool:
        """Whether groups have the control file `file`, judged by the top of the hierarchy and what is below.

        On version 2 the top lacks most files, so a group below it is asked, if there is one.
        """
        if self.version == "v1":
            root = self.roots().get(controller)
            return root is not None and os.path.exists(f"{root}/{file}")
        if controller not in self.controllers or self.unified is None:
            return False
        with os.scandir(self.unified) as entries:
            groups = [entry.path for entry in entries if entry.is_dir()]
        having = [group for group in groups if controller in read_or_empty(group, "cgroup.controllers").split()]
        return not having or any(os.path.exists(f"{group}/{file}") for group in having)

    def limits_swap(self) -> bool:
        """Whether the swap of a group can be limited."""
        return self.supports("memory", "memory.memsw.limit_in_bytes" if self.version == "v1" else "memory.swap.max")

    def __repr__(self) -> str:
        return f"Layout({self.version}{', hybrid' if self.is_hybrid else ''}: {' '.join(self.controllers)})"


def detect(mountinfo: str = "/proc/self/mountinfo") -> Layout:
    """How control groups are mounted here.

    Raises: Unavailable when they are not; SyscallError when /proc is not there.
    """
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape", newline="\n") as table:
            mounts, unified = parse_mountinfo(table.read())
    except OSError as error:
        raise SyscallError("open", mountinfo, error.errno or 0) from None
    if not mounts and unified is None:
        raise Unavailable(
            "no cgroups on this machine",
            why="neither version is mounted",
            fix="mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        )
    return Layout(mounts, unified)


def parse_mountinfo(text: str) -> tuple[dict[str, tuple[str, ...]], str | None]:
    """(mount point -> controllers of version 1, mount point of version 2). proc_pid_mountinfo(5).

    Of a hierarchy that is mounted several times the first mount point counts, of which nobody hid a part.
    """
    mounts: dict[str, tuple[str, ...]] = {}
    seen: set[tuple[str, ...]] = set()
    unified = None
    for line in text.split("\n"):  # splitlines() would take more characters of a path for a line end
        before, separator, behind = line.partition(" - ")
        if not separator or not behind.startswith("cgroup"):
            continue
        point = before.split(" ")[4].replace("\\040", " ")
        kind, _, options = behind.split(" ", 2)
        if kind == "cgroup2":
            unified = unified or point
        elif kind == "cgroup":
            words = options.split(",")
            names = tuple(word for word in words if word in _V1_CONTROLLERS or word.startswith("name="))
            if names and names not in seen:
                seen.add(names)
                mounts[point] = names
    return mounts, unified
