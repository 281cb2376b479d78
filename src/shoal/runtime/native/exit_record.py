"""Reads what a supervisor has recorded of a container's end (supervisor/reaper.py writes it). Blocking."""

from __future__ import annotations

import json
from pathlib import Path

from shoal.runtime.driver import Exit


def read_exit_record(path: Path, *, not_before_ns: int) -> Exit | None:
    """How a container ended, as its supervisor has recorded it; None without a record of this run.

    `not_before_ns` is when the container was started: an older record is of an earlier run.
    """
    try:
        record = json.loads(path.read_bytes())
        exit = Exit(
            code=int(record["exit_code"]),
            finished_at_ns=int(record["finished_at_ns"]),
            oom_killed=bool(record["oom_killed"]),
            known=bool(record["known"]),
            signal=int(record["signal"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return exit if exit.finished_at_ns >= not_before_ns else None
