"""Many clients at once, each of which runs one container after another."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.engines.busybox import IMAGE
from tests.perf.measures import Row, note
from tests.perf.subjects import Failed, Subject, timed

CLIENTS = 50


def crowd_rows(subjects: list[Subject], seconds: float) -> list[Row]:
    """What 50 clients get out of an engine in so many seconds: containers, how long each took, and refusals."""
    title = f"{CLIENTS} clients at once, `run --rm IMG true` for {seconds:.0f} s"
    done = Row(title, "/s", more_is_better=True)
    median = Row("one of these, median", "ms")
    slow = Row("one of these, 95 of 100", "ms")
    failed = Row("of these, failed", "runs")
    for subject in subjects:
        note(f"{title}, on {subject.name}")
        times, failures, took_s = _crowd(subject, seconds)
        if len(times) < CLIENTS:
            note(f"{subject.name}: only {len(times)} runs succeeded")
            continue
        name = subject.name
        done.values[name] = len(times) / took_s
        median.values[name] = statistics.median(times) * 1000
        slow.values[name] = sorted(times)[len(times) * 95 // 100] * 1000
        failed.values[name] = failures
    return [done, median, slow, failed]


def _crowd(subject: Subject, seconds: float) -> tuple[list[float], int, float]:
    """The seconds that each run took, how many failed, and the time until the last client was done."""
    times: list[float] = []
    failures: list[str] = []
    ready = threading.Barrier(CLIENTS)

    def client(_number: int) -> None:
        ready.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                times.append(timed(subject, "run", "--rm", IMAGE, "true"))
            except (Failed, subprocess.TimeoutExpired) as problem:
                failures.append(str(problem))

    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    for problem in sorted(set(failures))[:3]:
        note(f"{subject.name}: {problem}")
    return times, len(failures), time.perf_counter() - begin
