"""What a monitor leaves behind of its program's end: the signal, and whether the guest had run out of memory.

Its own exit code, which a supervisor sees, can tell neither. A file beside the exit record; written by the monitor
(supervisor/machine/monitor.py), empty while the program runs. Runs in shoald.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shoal.runtime.driver import Exit


def machine_record(exit_file: str) -> str:
    """The path of that file."""
    return f"{exit_file}.machine"


def completed(exit: Exit, exit_file: str) -> Exit:
    """The end with what the monitor knows of it; as it is where the monitor was killed."""
    path = Path(machine_record(exit_file))
    try:
        signal, oom_killed = path.read_text().split()
        path.unlink()
    except (OSError, ValueError):
        return exit
    return replace(exit, signal=int(signal), oom_killed=oom_killed == "oom")
