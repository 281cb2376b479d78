"""Finds out how a container ran out of memory: from the kernel's log, as far as that still tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from shoal.engine.container.exits import ExitRecord, OomRecord, Scope
from shoal.errors import ShoalError
from shoal.linux.kernel_log import LogRecord, OomReport, oom_reports

_log = logging.getLogger(__name__)


class OomInquiry:
    """Asks the kernel's log. `read` gives what it holds."""

    def __init__(self, read: Callable[[], list[LogRecord]]) -> None:
        self._read = read

    async def explain(self, id: str, exits: Sequence[ExitRecord]) -> OomRecord:
        """What is known of the processes of container `id` that were killed, but for those in earlier `exits`."""
        try:
            newest, reports = await asyncio.to_thread(self._look)
        except ShoalError as problem:
            _log.warning("nothing more is known of the OOM kill in container %s: %s", id, problem)
            return OomRecord()
        earlier = max((end.oom.number for end in exits if end.oom is not None), default=0)
        if earlier > newest > 0:
            earlier = 0  # the machine was started anew since
        return oom_record(id, [report for report in reports if report.number > earlier])

    def _look(self) -> tuple[int, list[OomReport]]:
        """The number of the newest record, and the reports: thousands of lines, too many for the event loop."""
        records = self._read()
        return records[-1].number if records else 0, oom_reports(records)


def oom_record(id: str, reports: Sequence[OomReport]) -> OomRecord:
    """What the reports tell of the container's victims. Pure."""
    own = [report for report in reports if id in report.group.split("/")]
    if not own:
        return OomRecord()
    last = own[-1]
    return OomRecord(
        kills=len(own),
        scope=_scope(id, last),
        limit=last.limit,
        usage=last.usage,
        victim=last.name,
        pid=last.pid,
        victim_memory={"anon": last.anon, "file": last.file, "shmem": last.shmem},
        memory=memory_by_kind(last),
        number=last.number,
    )


def _scope(id: str, report: OomReport) -> Scope:
    if not report.limited:
        return "machine"
    return "container" if id in report.limited.split("/") else "above"


def memory_by_kind(report: OomReport) -> dict[str, int]:
    """What the memory was used for, in one shape for both versions of cgroups; empty where the log does not tell.

    Version 1 counts resident and cached pages, for the group and (total_) for those below it too, and the kernel's own
    apart from them; version 2 counts shared memory among the file pages.
    """
    counters = report.counters
    if "anon" in counters:
        anon, cached, kernel = counters["anon"], counters.get("file", 0), counters.get("kernel", 0)
        shmem, swap = counters.get("shmem", 0), counters.get("swapcached", 0)
    elif "rss" in counters:
        anon, cached = (counters.get(f"total_{name}", counters.get(name, 0)) for name in ("rss", "cache"))
        shmem, swap = (counters.get(f"total_{name}", counters.get(name, 0)) for name in ("shmem", "swap"))
        kernel = report.kernel
    else:
        return {}
    return {"anon": anon, "file": max(cached - shmem, 0), "kernel": kernel, "shmem": shmem, "swap": swap}
