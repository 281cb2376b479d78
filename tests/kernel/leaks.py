"""What a test could leave on the machine: descriptors, mounts, cgroups, namespaces, links, tables, processes.

Tests run on machines where others work too, so a thing counts only when it can be told to be the test's own: it is in
this process, descends from it, or bears this process's name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from shoal.errors import ShoalError
from shoal.linux.cgroups import detect
from shoal.linux.cgroups.cgroup import remove_tree
from shoal.linux.procfs import children

# Control groups of a test are made below this name: "/shoal-test-PID/…".
CGROUP_PREFIX = f"shoal-test-{os.getpid()}"
# How long something may take to go on its own: the kernel lets go of namespaces and veths a moment late.
GRACE_S = 10.0
_PAUSE_S = 0.01


def descriptors() -> set[str]:
    """This process's descriptors: "7 -> /dev/null"; the one of the listing itself left out."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"descriptor {name} -> {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            pass  # the listing's own
    return found


def mounts(directory: str) -> set[str]:
    """Mounts of this mount namespace that are below the test's directory, or are made from it."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return {f"mount {line}" for line in lines if f"{directory}/" in line or f"{directory} " in line}


def cgroups() -> set[str]:
    """Control groups that bear this process's name, in every hierarchy."""
    try:
        layout = detect()
    except ShoalError:
        return set()
    tops = [*layout.mounts, *([layout.unified] if layout.unified else [])]
    return {f"cgroup {top}/{CGROUP_PREFIX}" for top in tops if os.path.isdir(f"{top}/{CGROUP_PREFIX}")}


def own_namespaces() -> set[str]:
    """The namespaces this process is in: a test that enters one must come back."""
    names = sorted(os.listdir("/proc/self/ns"))
    return {f"namespace {name} {os.readlink(f'/proc/self/ns/{name}')}" for name in names}


def descendants() -> set[str]:
    """Processes that come from this one, zombies too. With the subreaper flag, orphans of orphans are among them.

    Not those of an engine that the session shares, which come and go: `Shoald.close` looks for what it leaves.
    """
    found: set[str] = set()
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            below = [child for child in children(pid) if not _is_of_engine(child)]
        except ShoalError:
            continue  # it ended meanwhile
        waiting += below
        found |= {f"process {child} {_command(child)}" for child in below}
    return found


def _is_of_engine(pid: int) -> bool:
    try:
        return b"/tmp/shoald-" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def links() -> set[str]:
    """The network links of this network namespace that look like shoal's."""
    names = os.listdir("/sys/class/net")
    return {f"link {name}" for name in names if name.startswith(("ve", "sh-", "shoal"))}


def tables() -> set[str]:
    """The nftables tables of this network namespace that look like shoal's."""
    nft = shutil.which("nft")
    if nft is None:
        return set()
    listing = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=False).stdout
    return {f"nftables {line}" for line in listing.splitlines() if "shoal" in line or " sh-" in line}


class LeakCheck:
    """What there is before a test; `left()` is what there is more of behind it, after a time of grace."""

    def __init__(self, directory: str, *, network: bool = False) -> None:
        self._directory = directory
        self._looks: list[Callable[[], set[str]]] = [
            descriptors,
            lambda: mounts(self._directory),
            cgroups,
            own_namespaces,
            descendants,
        ]
        if network:
            self._looks += [links, tables]
        self._children = set(children(os.getpid()))
        self._before = self._look()

    def _look(self) -> set[str]:
        return set().union(*(look() for look in self._looks))

    def left(self) -> list[str]:
        """What is more than before and does not go within the time of grace; empty when all is well."""
        deadline = time.monotonic() + GRACE_S
        while (more := self._look() - self._before) and time.monotonic() < deadline:
            reap_orphans(self._children)
            time.sleep(_PAUSE_S)  # nothing tells when the kernel has let go of the last of it
        return sorted(more)


def reap_orphans(known: set[int]) -> None:
    """Take up the wait status of orphans that came to us, which nobody else will."""
    for pid in children(os.getpid()):
        if pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass  # someone waited for it after all


def purge_cgroups() -> None:
    """Remove what a failed test left, so that it harms none after it."""
    for line in cgroups():
        try:
            remove_tree(line.removeprefix("cgroup "))
        except ShoalError:
            pass  # a process in it: the check has named both
