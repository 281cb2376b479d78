"""What `ps` would tell of processes, for machines that have no ps. ps(1), proc_pid_stat(5).

Used by shoald. Columns have the names that ps gives them (`pid`, `args`, `%cpu`, …).
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from shoal.errors import InvalidArgument

_TICKS_PER_S = 100  # USER_HZ, the same on every architecture that shoal runs on
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_DAY_S = 24 * 3600


class Process(NamedTuple):
    """One process at one moment. Times in seconds, sizes in KiB; `started_s` is Unix time."""

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


def read_processes(pids: Iterable[int]) -> list[Process]:
    """Those of the processes that are still there, in the order of `pids`."""
    with open("/proc/uptime", encoding="ascii") as file:
        uptime_s = float(file.read().split()[0])
    found = []
    for pid in pids:
        try:
            found.append(_read_process(pid, uptime_s))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended meanwhile
    return found


def _read_process(pid: int, uptime_s: float) -> Process:
    directory = f"/proc/{pid}"
    with open(f"{directory}/stat", encoding="utf-8", errors="replace") as file:
        # The name may hold spaces and parentheses: the fields begin behind the last one.
        before, _, behind = file.read().rpartition(")")
    with open(f"{directory}/cmdline", encoding="utf-8", errors="replace") as file:
        words = file.read().rstrip("\0").replace("\0", " ")
    fields = behind.split()
    name = before.partition("(")[2]
    age_s = max(uptime_s - int(fields[19]) / _TICKS_PER_S, 0.0)
    return Process(
        pid=pid,
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        sid=int(fields[3]),
        uid=os.stat(directory).st_uid,
        name=name,
        arguments=words or f"[{name}]",
        state=fields[0],
        tty=_tty_name(int(fields[4])),
        nice=int(fields[16]),
        threads=int(fields[17]),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        age_s=age_s,
        started_s=time.time() - age_s,
        vsz_kib=int(fields[20]) // 1024,
        rss_kib=int(fields[21]) * _PAGE_KIB,
    )


def _tty_name(number: int) -> str:
    """`pts/3`, `tty1`, or `?` for none and for kinds of terminal that are none of a container."""
    major, minor = os.major(number), os.minor(number)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    return f"tty{minor}" if major == 4 else "?"


def _user(process: Process) -> str:
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def _clock_time(seconds: float) -> str:
    days, rest = divmod(int(seconds), _DAY_S)
    shown = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{shown}" if days else shown


def _elapsed(process: Process) -> str:
    shown = _clock_time(process.age_s)
    return shown.removeprefix("00:") if process.age_s < 3600 else shown


def _start(process: Process) -> str:
    started = time.localtime(process.started_s)
    return time.strftime("%H:%M" if process.age_s < _DAY_S else "%b%d", started)


def _cpu_percent(process: Process) -> float:
    return 100 * process.cpu_s / process.age_s if process.age_s else 0.0


def _memory_percent(process: Process) -> str:
    total_kib = os.sysconf("SC_PHYS_PAGES") * _PAGE_KIB
    return f"{100 * process.rss_kib / total_kib:.1f}"


_Column = tuple[str, Callable[[Process], str]]
_COLUMNS: dict[str, _Column] = {
    "pid": ("PID", lambda p: str(p.pid)),
    "ppid": ("PPID", lambda p: str(p.ppid)),
    "pgid": ("PGID", lambda p: str(p.pgid)),
    "sid": ("SID", lambda p: str(p.sid)),
    "uid": ("UID", lambda p: str(p.uid)),
    "user": ("USER", _user),
    "comm": ("COMMAND", lambda p: p.name),
    "args": ("COMMAND", lambda p: p.arguments),
    "cmd": ("CMD", lambda p: p.arguments),
    "stat": ("STAT", lambda p: p.state),
    "s": ("S", lambda p: p.state),
    "tty": ("TTY", lambda p: p.tty),
    "ni": ("NI", lambda p: str(p.nice)),
    "nlwp": ("NLWP", lambda p: str(p.threads)),
    "time": ("TIME", lambda p: _clock_time(p.cpu_s)),
    "etime": ("ELAPSED", _elapsed),
    "stime": ("STIME", _start),
    "start": ("START", _start),
    "c": ("C", lambda p: str(min(int(_cpu_percent(p)), 99))),
    "pcpu": ("%CPU", lambda p: f"{_cpu_percent(p):.1f}"),
    "pmem": ("%MEM", _memory_percent),
    "vsz": ("VSZ", lambda p: str(p.vsz_kib)),
    "rss": ("RSS", lambda p: str(p.rss_kib)),
}
_ALIASES = {"command": "args", "%cpu": "pcpu", "%mem": "pmem", "tt": "tty", "tname": "tty", "cputime": "time"}
_ALIASES |= {
    "state": "s",
    "nice": "ni",
    "pgrp": "pgid",
    "sess": "sid",
    "euser": "user",
    "euid": "uid",
    "thcount": "nlwp",
}

FULL = ("user", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
AUX = ("user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat", "start", "time", "args")


def column_titles(names: Sequence[str]) -> list[str]:
    """The headings of columns. Raises: InvalidArgument for one that is not known here."""
    return [_column(name)[0] for name in names]


def row(process: Process, names: Sequence[str]) -> list[str]:
    """A process in these columns."""
    return [_column(name)[1](process) for name in names]


def _column(name: str) -> _Column:
    column = _COLUMNS.get(_ALIASES.get(name, name))
    if column is None:
        raise InvalidArgument(
            f"ps: unknown user-defined format specifier '{name}'",
            why="this machine has no ps, and shoal's own table lacks it",
            fix="apt-get install procps",
        )
    return column
