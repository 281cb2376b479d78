"""What the kernel has logged, and what it tells there of processes that it killed for want of memory.

Used by shoald, as root. Documentation/ABI/testing/dev-kmsg; the form of a report is that of mm/oom_kill.c and
mm/memcontrol.c, Linux 5.0 to 6.18. A report names processes, whose names their owners choose: each line is matched as a
whole, and in /dev/kmsg a name cannot end a line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from shoal.errors import SyscallError

_PATH = "/dev/kmsg"
_RECORD_BYTES = 8192  # the longest that the kernel gives in one read

_BEGIN = re.compile(r".* invoked oom-killer: .*")
_LIMIT = re.compile(r"memory: usage (\d+)kB, limit (\d+)kB, failcnt \d+")
_KMEM = re.compile(r"kmem: usage (\d+)kB, limit \d+kB, failcnt \d+")
_COUNT = re.compile(r"(\w+) (\d+)")
_CHOSEN = re.compile(
    r"oom-kill:constraint=(?P<constraint>\w+),.*?(?:oom_memcg=(?P<limited>[^,]*)|global_oom),"
    r"task_memcg=(?P<group>[^,]*),task=(?P<name>.*),pid=(?P<pid>\d+),uid=\d+"
)
_KILLED = re.compile(
    r".*Killed process (?P<pid>\d+) \(.*\) total-vm:\d+kB, anon-rss:(?P<anon>\d+)kB, file-rss:(?P<file>\d+)kB,"
    r" shmem-rss:(?P<shmem>\d+)kB.*"
)
_KIB = 1024
_NEW_LINE = "\\x0a"  # as /dev/kmsg writes it within a record


class LogRecord(NamedTuple):
    """One line of the kernel's log; numbers of records grow from the boot on."""

    number: int
    text: str


@dataclass(slots=True)
class OomReport:
    """One process that the kernel killed for want of memory; sizes in bytes.

    `group` is the cgroup of the victim, `limited` the one whose limit was hit, "" where the whole machine had no more.
    `limit` and `usage` are of that cgroup. `counters` is its memory.stat, empty for the machine; `kernel` is what v1
    counts apart. `anon`, `file` and `shmem` are the victim's.
    """

    number: int
    group: str
    limited: str
    name: str
    pid: int
    limit: int = 0
    usage: int = 0
    kernel: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    anon: int = 0
    file: int = 0
    shmem: int = 0


def read_kernel_log() -> list[LogRecord]:
    """All that the kernel's ring buffer still holds, the oldest first: some hundred kilobytes, in about 10 ms.

    Raises: SyscallError where there is no /dev/kmsg, or no right to read it.
    """
    records: list[LogRecord] = []
    try:
        number = os.open(_PATH, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while True:
                try:
                    data = os.read(number, _RECORD_BYTES)
                except BlockingIOError:
                    return records
                except BrokenPipeError:
                    continue  # a record was overwritten before it was read: go on with the oldest there is
                records.append(_record(data))
        finally:
            os.close(number)
    except OSError as error:
        raise SyscallError("read", _PATH, error.errno or 0) from None


def _record(data: bytes) -> LogRecord:
    """`6,1234,5678,-;text`, and behind it lines of key and value, which say nothing to us."""
    head, _, text = data.decode(errors="replace").partition(";")
    fields = head.split(",")
    number = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
    return LogRecord(number, text.partition("\n")[0].strip())


def oom_reports(records: Iterable[LogRecord]) -> list[OomReport]:
    """The reports in the log, the oldest first. Lines of others in between are passed over."""
    reports: list[OomReport] = []
    seen = _Seen()
    for record in records:
        if _BEGIN.fullmatch(record.text):
            seen = _Seen()
        elif (chosen := _CHOSEN.fullmatch(record.text)) is not None:
            reports.append(seen.report(record.number, chosen))
        elif (killed := _KILLED.fullmatch(record.text)) is not None:
            _add_sizes(reports, killed)
        else:
            seen.line(record.text)
    return reports


class _Seen:
    """What the lines of a report before the victim's have told."""

    def __init__(self) -> None:
        self.usage = self.limit = self.kernel = 0
        self.counters: dict[str, int] = {}

    def line(self, text: str) -> None:
        if (sizes := _LIMIT.fullmatch(text)) is not None:
            self.usage, self.limit = int(sizes[1]) * _KIB, int(sizes[2]) * _KIB
        elif (size := _KMEM.fullmatch(text)) is not None:
            self.kernel = int(size[1]) * _KIB
        else:
            self._count(text)

    def _count(self, text: str) -> None:
        """Takes a counter in; before Linux 6.6 they are one record, whose end may have been cut off in a number."""
        *lines, last = text.split(_NEW_LINE)
        counts = [_COUNT.fullmatch(line) for line in (lines or [last])]
        if all(counts):
            self.counters.update((count[1], int(count[2])) for count in counts if count)

    def report(self, number: int, chosen: re.Match[str]) -> OomReport:
        return OomReport(
            number,
            group=chosen["group"],
            limited=chosen["limited"] or "",
            name=chosen["name"],
            pid=int(chosen["pid"]),
            limit=self.limit,
            usage=self.usage,
            kernel=self.kernel,
            counters=self.counters,
        )


def _add_sizes(reports: list[OomReport], killed: re.Match[str]) -> None:
    if reports and reports[-1].pid == int(killed["pid"]):
        victim = reports[-1]
        victim.anon, victim.file, victim.shmem = (int(killed[name]) * _KIB for name in ("anon", "file", "shmem"))
