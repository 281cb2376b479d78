"""What `ps` would tell of processes, for machines that have no ps. ps(1), proc_pid_stat(5).

Used by shoald. Columns have the names that ps gives them (`pid`, `args`, `%cpu`, …).
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Sequence

from shoal.errors import InvalidArgument
from shoal.linux.processes import Process, read_processes

__all__ = ["AUX", "FULL", "Process", "column_titles", "read_processes", "row"]

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_DAY_S = 24 * 3600


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
