"""A function in a forked child: for what must not happen to the test's own process."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def run_forked(task: Callable[[], None]) -> None:
    """Run `task` in a child; what fails there fails here, with the child's traceback."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        report = b""
        try:
            task()
        except BaseException:  # noqa: BLE001 - the child's edge
            report = traceback.format_exc().encode()
        finally:
            # The report may be longer than a pipe holds: the parent reads to the end before it waits.
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(report)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        report = pipe.read()
    os.waitpid(pid, 0)
    assert not report, report.decode()
