"""Processes as /proc tells of them at one moment. proc_pid_stat(5).

Used by shoald, and in a guest for its containers: standard library only, and little of it.
"""

from __future__ import annotations

import os
import time

from shoal.linux.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS_PER_S = 100  # USER_HZ, the same on every architecture that shoal runs on
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Process:
    """One process at one moment. Times in seconds, sizes in KiB; `started_s` is Unix time."""

    __slots__ = (
        "age_s", "arguments", "cpu_s", "name", "nice", "pgid", "pid", "ppid", "rss_kib", "sid", "started_s", "state",
        "threads", "tty", "uid", "vsz_kib",
    )  # fmt: skip

    pid: int
    ppid: int
    pgid: int
    sid: int
    uid: int
    name: str
    arguments: str
    state: str
    tty: str
    nice: int
    threads: int
    cpu_s: float
    age_s: float
    started_s: float
    vsz_kib: int
    rss_kib: int

    def to_wire(self) -> dict[str, int | float | str]:
        """The process as data for `marshal`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_wire(cls, values: dict[str, int | float | str]) -> Process:
        """The process that `to_wire` wrote."""
        process = cls()
        for name in cls.__slots__:
            setattr(process, name, values[name])
        return process


def read_processes(pids: Iterable[int]) -> list[Process]:
    """Those of the processes that are still there, in the order of `pids`."""
    uptime_s = float(read_file("/proc/uptime").split()[0])
    found = []
    for pid in pids:
        try:
            found.append(_read_process(pid, uptime_s))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended meanwhile
    return found


def _read_process(pid: int, uptime_s: float) -> Process:
    directory = f"/proc/{pid}"
    # The name may hold spaces and parentheses: the fields begin behind the last one.
    before, _, behind = read_file(f"{directory}/stat").decode("utf-8", "replace").rpartition(")")
    words = read_file(f"{directory}/cmdline").decode("utf-8", "replace").rstrip("\0").replace("\0", " ")
    fields = behind.split()
    process = Process()
    process.pid = pid
    process.ppid, process.pgid, process.sid = int(fields[1]), int(fields[2]), int(fields[3])
    process.uid = os.stat(directory).st_uid
    process.name = before.partition("(")[2]
    process.arguments = words or f"[{process.name}]"
    process.state = fields[0]
    process.tty = _tty_name(int(fields[4]))
    process.nice, process.threads = int(fields[16]), int(fields[17])
    process.cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    process.age_s = max(uptime_s - int(fields[19]) / _TICKS_PER_S, 0.0)
    process.started_s = time.time() - process.age_s
    process.vsz_kib, process.rss_kib = int(fields[20]) // 1024, int(fields[21]) * _PAGE_KIB
    return process


def _tty_name(number: int) -> str:
    """`pts/3`, `tty1`, or `?` for none and for kinds of terminal that are none of a container."""
    major, minor = os.major(number), os.minor(number)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    return f"tty{minor}" if major == 4 else "?"
