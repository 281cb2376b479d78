"""What an engine has left on the machine: processes, mounts, cgroups, links, firewall tables.

Everything is found by a name or a path that only this one engine uses, since others may run beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def pids() -> list[int]:
    """Every process that exists now."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # the process has ended meanwhile


def supervisor_pids(exec_root: str) -> list[int]:
    """The processes that hold a socket or a file below EXEC_ROOT/supervisors, by their pid files."""
    found = []
    for path in Path(exec_root, "supervisors").glob("*/pid"):
        text = _read(str(path)).strip()
        if text.isdigit() and os.path.exists(f"/proc/{text}"):
            found.append(int(text))
    return sorted(found)


def own_pids(instance: str, directory: str) -> Iterator[int]:
    """Processes that name the engine's directory, sit in its cgroup, or have a mount of it in a namespace apart."""
    for pid in pids():
        if pid != os.getpid() and (
            directory in _read(f"/proc/{pid}/cmdline")
            or f"/shoal-{instance}" in _read(f"/proc/{pid}/cgroup")
            or (_is_apart(pid) and directory in _read(f"/proc/{pid}/mountinfo"))
        ):
            yield pid


def _is_apart(pid: int) -> bool:
    """Whether it has mounts of its own. Those of the host show in every process: they say nothing about one."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    return False


def processes(instance: str, directory: str) -> Iterator[str]:
    """The engine's processes, for a person to read."""
    for pid in own_pids(instance, directory):
        yield f"process {pid}: {_read(f'/proc/{pid}/cmdline').strip() or _read(f'/proc/{pid}/comm').strip()}"


def mounts(directory: str) -> Iterator[str]:
    """Mounts of this namespace below the engine's directory."""
    return (f"mount {line}" for line in _read("/proc/self/mountinfo").splitlines() if directory in line)


def cgroups(instance: str) -> Iterator[str]:
    """The engine's cgroups in every hierarchy."""
    for pattern in (f"shoal-{instance}", f"*/shoal-{instance}"):
        for path in CGROUPS.glob(pattern):
            yield f"cgroup {path}: {sorted(child.name for child in path.iterdir() if child.is_dir())}"


def links(instance: str) -> Iterator[str]:
    """The engine's bridge, and what is plugged into it."""
    for path in Path("/sys/class/net").glob("*"):
        master = os.path.basename(os.path.realpath(path / "master")) if (path / "master").exists() else ""
        if f"sh-{instance}" in (path.name, master):
            yield f"network link {path.name}"


def tables(instance: str) -> Iterator[str]:
    """The engine's nftables table."""
    if nft := shutil.which("nft"):
        listing = subprocess.run([nft, "list", "tables"], capture_output=True, text=True).stdout
        yield from (f"nftables {line}" for line in listing.splitlines() if instance in line)


def files(directory: str) -> Iterator[str]:
    """What a stopped engine without containers must not have in its directories."""
    for place in ("data/containers", "data/snapshots", "run/containers", "run/supervisors"):
        yield from (f"file {path}" for path in Path(directory, place).glob("[!.]*"))
    yield from (f"file {path}" for path in Path(directory, "data/tmp").rglob("*") if not path.is_dir())


def found(instance: str, directory: str) -> list[str]:
    """Everything of the engine that is on the machine now."""
    return [
        *processes(instance, directory),
        *mounts(directory),
        *cgroups(instance),
        *links(instance),
        *tables(instance),
        *files(directory),
    ]


def wait_until_clean(instance: str, directory: str, timeout_s: float = 5) -> list[str]:
    """What is still there when the time is over; empty as soon as nothing is."""
    deadline = time.monotonic() + timeout_s
    while (left := found(instance, directory)) and time.monotonic() < deadline:
        time.sleep(0.05)  # a process that ends takes its namespaces with it a moment later, and nothing tells when
    return left


def purge(instance: str, directory: str) -> None:
    """End and remove all that `found` lists, so that a failed test harms none after it."""
    for pid in own_pids(instance, directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_clean(instance, directory, timeout_s=1)
    for line in list(mounts(directory)):
        subprocess.run(["umount", "-l", line.split()[5]], capture_output=True)
    for pattern in (f"shoal-{instance}", f"*/shoal-{instance}"):
        for top in CGROUPS.glob(pattern):
            for path in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    path.rmdir()
            with contextlib.suppress(OSError):
                top.rmdir()
    for line in list(links(instance)):
        subprocess.run(["ip", "link", "del", line.split()[2]], capture_output=True)
    for line in list(tables(instance)):
        subprocess.run(["nft", "delete", *line.split()[1:]], capture_output=True)
