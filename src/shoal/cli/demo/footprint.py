"""What a private engine leaves on the machine. While it works, the identity of everything it has is noted; at its end
each is looked for in the kernel. Only this engine's things are counted: others may come and go meanwhile.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

# Of one network namespace: the kernel's name for it in /proc/PID/ns/net, such as `net:[4026532008]`.
NamespaceName = str


@dataclass(slots=True)
class Footprint:
    """The notes about the engine that works in `root`."""

    root: str
    namespaces: set[NamespaceName] = field(default_factory=set)
    cgroups: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    bridges: set[str] = field(default_factory=set)
    processes: set[tuple[int, str]] = field(default_factory=set)

    def note_engine(self, exec_root: str) -> None:
        """Notes what an engine has without any container. Its names carry a digest of its run directory."""
        digest = hashlib.sha256(exec_root.encode()).hexdigest()[:8]
        self.bridges.add(f"sh-{digest}")
        self.cgroups.add(f"/shoal-{digest}")

    def note_container(self, pid: int) -> None:
        """Notes the namespace, cgroups and link of the container whose PID 1 is `pid` on the host."""
        self._note_process(pid)
        namespace = _read_link(f"/proc/{pid}/ns/net")
        if namespace and namespace != _read_link("/proc/self/ns/net"):
            self.namespaces.add(namespace)
        for line in _read(f"/proc/{pid}/cgroup").splitlines():
            path = line.split(":", 2)[2]
            if path.count("/") >= 2:
                self.cgroups.update((path, os.path.dirname(path)))
        # The container's own /sys tells the index of its link's other end, which is on the host.
        index = _read(f"/proc/{pid}/root/sys/class/net/eth0/iflink").strip()
        link = next((name for number, name in socket.if_nameindex() if str(number) == index), "")
        if link:
            self.links.add(link)
            bridge = os.path.basename(_read_link(f"/sys/class/net/{link}/master"))
            self.bridges.update({bridge} - {""})

    def note_processes(self) -> None:
        """Notes the processes of the engine itself: those that have its directory in their command or environment."""
        for pid in _pids():
            if self._is_ours(pid):
                self._note_process(pid)

    def supervisor_pids(self) -> list[int]:
        """The engine's helper processes, as noted, without shoald and the containers."""
        return sorted(pid for pid, start in self.processes if _start_time(pid) == start and "superv" in _command(pid))

    def left(self) -> dict[str, list[str]]:
        """What is still there, by kind; every kind has its list, empty where nothing is left."""
        return {
            "mounts": sorted(self._mounts()),
            "network namespaces": sorted(set(self._namespaces())),
            "cgroups": [path for path in sorted(self.cgroups) if _cgroup_exists(path)],
            "veths and bridges": sorted((self.links | self.bridges) & {name for _, name in socket.if_nameindex()}),
            "nftables tables": [name for name in sorted(_tables()) if name in self.bridges],
            "processes": sorted(self._processes()),
        }

    def _note_process(self, pid: int) -> None:
        start = _start_time(pid)
        if start:
            self.processes.add((pid, start))

    def _is_ours(self, pid: int) -> bool:
        return pid != os.getpid() and (self.root in _command(pid) or self.root in _read(f"/proc/{pid}/environ"))

    def _processes(self) -> Iterator[str]:
        noted = dict(self.processes)
        for pid in _pids():
            # A pid that came back with another start time is another process.
            if (pid in noted and _start_time(pid) == noted[pid]) or self._is_ours(pid):
                yield f"{pid} {_command(pid)[:60]}"

    def _namespaces(self) -> Iterator[NamespaceName]:
        """Noted namespaces that a process of ours or a mount of ours keeps alive.

        The name alone proves nothing: the kernel gives the number of one that is gone to the next one.
        """
        noted = dict(self.processes)
        for pid in _pids():
            name = _read_link(f"/proc/{pid}/ns/net")
            if name in self.namespaces and (_start_time(pid) == noted.get(pid) or self._is_inside(pid)):
                yield name
        for line in _read("/proc/self/mountinfo").splitlines():
            fields = line.split()
            if " nsfs " in line and fields[3] in self.namespaces and self.root in fields[4]:
                yield fields[3]

    def _is_inside(self, pid: int) -> bool:
        """Whether the process is in a cgroup of ours."""
        return any(line.split(":", 2)[2] in self.cgroups for line in _read(f"/proc/{pid}/cgroup").splitlines())

    def _mounts(self) -> set[str]:
        """Mount points below the root in any process's mount namespace."""
        found: set[str] = set()
        seen: set[str] = set()
        for pid in _pids():
            namespace = _read_link(f"/proc/{pid}/ns/mnt")
            if namespace in seen:
                continue
            seen.add(namespace)
            found.update(line for line in _read(f"/proc/{pid}/mountinfo").splitlines() if self.root in line)
        return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read(path: str) -> str:
    """The text of a kernel file, "" when its process or object has gone meanwhile."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _command(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat; the command's name before it may have spaces and parentheses. proc_pid_stat(5)."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # A zombie holds nothing any more; its parent reaps it.
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _cgroup_exists(path: str) -> bool:
    """Whether any hierarchy (cgroup v2 at the top, v1 one level below) has the cgroup."""
    return bool(glob.glob(f"/sys/fs/cgroup{path}") or glob.glob(f"/sys/fs/cgroup/*{path}"))


def _tables() -> set[str]:
    """The names of all nftables tables; none where the nft program is missing (`can_list_tables` tells)."""
    if not can_list_tables():
        return set()
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    return {line.split()[-1] for line in listed.stdout.splitlines() if line.startswith("table ")}


def can_list_tables() -> bool:
    """Whether the nft program is installed."""
    return shutil.which("nft") is not None
