"""The engine: whether it answers, what it says of itself, and what dead ones left behind."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time

from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding
from shoal.cli.doctor.machine import program
from shoal.client.client import Client
from shoal.errors import ShoalError, Unavailable
from shoal.linux.procfs import command_line

AREA = "engine"
_SLOW_S = 1.0
_DEFAULT_EXEC_ROOT = "/run/shoal"
_SUFFIX = r"[0-9a-f]{8}"


def check_engine(client: Client) -> list[Finding]:
    """What the engine at the client's address says; that there is none is a warning, since `shoal` starts one."""
    begin = time.monotonic()
    try:
        info = client.system.info()
    except Unavailable as error:
        return [Finding(AREA, "answers", WARNING, str(error), error.fix)]
    except ShoalError as error:
        return [Finding(AREA, "answers", PROBLEM, str(error), error.fix)]
    taken_s = time.monotonic() - begin
    detail = f"{info.text('ServerVersion')}, {info.number('Containers')} containers, in {taken_s * 1000:.0f} ms"
    slow = taken_s > _SLOW_S
    found = [
        Finding(AREA, "answers", WARNING if slow else OK, detail, "look at its log, and at the load" if slow else "")
    ]
    for warning in info.texts("Warnings"):
        found.append(Finding(AREA, "says", WARNING, warning.removeprefix("WARNING: "), "see the kernel's part above"))
    if info.text("Driver") == "vfs":
        fix = "put --data-root on ext4, xfs or btrfs, with a kernel that has overlay"
        found.append(Finding(AREA, "storage-driver", WARNING, "vfs: every container is a whole copy of its image", fix))
    return found


def check_leftovers() -> list[Finding]:
    """What daemons that are gone left in the kernel. A name tells which daemon's it is, by its exec root."""
    live, hosted = _instances()
    found = []
    for suffix, exec_root in sorted(hosted.items()):
        if suffix not in live:
            fix = f"shoald --exec-root {exec_root} with its other flags: it takes them over"
            found.append(
                Finding(AREA, "leftovers", WARNING, f"containers go on without their shoald ({exec_root})", fix)
            )
    for suffix, things in sorted(_objects().items()):
        if suffix not in live and suffix not in hosted:
            fix = "; ".join(fix for _, fix in things)
            names = ", ".join(name for name, _ in things)
            found.append(Finding(AREA, "leftovers", WARNING, f"of a shoald that is gone: {names}", fix))
    return found or [Finding(AREA, "leftovers", OK, "none of daemons that are gone")]


def _suffix(exec_root: str) -> str:
    """What the names of a daemon's things end with; "" for the default one."""
    normal = os.path.normpath(exec_root)
    return "" if normal == _DEFAULT_EXEC_ROOT else hashlib.sha256(normal.encode()).hexdigest()[:8]


def _instances() -> tuple[set[str], dict[str, str]]:
    """The suffixes of daemons that run, and those of supervisors that do, with their exec roots."""
    live, hosted = set(), {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = command_line(int(entry))
        except ShoalError:
            continue  # it ended meanwhile
        if any(word.endswith("supervisor/bootstrap.py") for word in words[:4]):
            place = next((word for word in words if "/supervisors/" in word), "")
            if place:
                exec_root = place.rpartition("/supervisors/")[0]
                hosted[_suffix(exec_root)] = exec_root
        elif any(word.endswith("/shoald") or word == "shoal.daemon.main" for word in words[:4]):
            live.add(_suffix(_flag(words, "--exec-root") or _DEFAULT_EXEC_ROOT))
    return live, hosted


def _flag(words: list[str], name: str) -> str:
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return ""


def _objects() -> dict[str, list[tuple[str, str]]]:
    """Bridges, firewall tables and cgroups with shoal's names, by suffix: what each is, and how to remove it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in _names("/sys/class/net"):
        suffix = _suffix_of(name, "shoal0", "sh-")
        if suffix is not None:
            found.setdefault(suffix, []).append((f"bridge {name}", f"ip link delete {name}"))
    for family, table in _tables():
        suffix = _suffix_of(table, "shoal", "sh-")
        if suffix is not None:
            found.setdefault(suffix, []).append((f"table {family} {table}", f"nft delete table {family} {table}"))
    for name in _cgroups():
        suffix = _suffix_of(name, "shoal", "shoal-")
        if suffix is not None:
            # Version 1 has it once in each hierarchy.
            fix = f"find /sys/fs/cgroup -depth -type d -path '*/{name}*' -exec rmdir {{}} +"
            found.setdefault(suffix, []).append((f"cgroup /{name}", fix))
    return found


def _suffix_of(name: str, default: str, prefix: str) -> str | None:
    if name == default:
        return ""
    return name.removeprefix(prefix) if re.fullmatch(prefix + _SUFFIX, name) else None


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _tables() -> list[tuple[str, str]]:
    """The nftables tables of the host: (family, name)."""
    if not program("nft") or os.geteuid() != 0:
        return []
    try:
        asked = subprocess.run([program("nft"), "list", "tables"], capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = map(str.split, asked.stdout.decode("utf-8", "replace").splitlines())
    return [(words[1], words[2]) for words in lines if len(words) == 3]


def _cgroups() -> list[str]:
    """The names of the groups at the top of every hierarchy, each once."""
    root = "/sys/fs/cgroup"
    tops = [root, *(f"{root}/{name}" for name in _names(root) if os.path.isdir(f"{root}/{name}"))]
    return sorted({name for top in tops for name in _names(top) if os.path.isdir(f"{top}/{name}")})
