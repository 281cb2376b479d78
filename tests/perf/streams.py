"""Output on its way: into the log, past a busy neighbour, and to an attached client."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines.busybox import IMAGE
from tests.engines.engine import Engine
from tests.perf.measures import Row, note
from tests.perf.subjects import DaemonSubject, Failed, Subject

BOUNDED = ("--log-opt", "max-size=20m", "--log-opt", "max-file=5")
LINE_BYTES = 100
FILE_MIB = 32
SAMPLES = 200

# Lines of 100 bytes in memory; then as many times as asked for to stdout, between two looks at the clock.
_LINE = 'time=12:00 level=info path=/a/b msg="request served" '.ljust(LINE_BYTES - 1, "x")
_PREPARE = f"yes '{_LINE}' | head -c {FILE_MIB}m > /dev/shm/l"
_POUR = "for i in $(seq 1 {times}); do cat /dev/shm/l; done"
_TIMED = "read a rest </proc/uptime; {pour}; read b rest </proc/uptime; echo $a $b >&2"


def stream_rows(subjects: list[Subject], mib: int) -> list[Row]:
    """Throughput into a log and to a client, and a line's way into another container's log meanwhile."""
    logged = Row("output into the log, json-file, lines of 100 bytes", "MB/s", more_is_better=True)
    local = Row("the same, `local`", "MB/s", more_is_better=True)
    attached = Row("output to `docker run`, driver `none`", "MB/s", more_is_better=True)
    both = Row("the same, json-file", "MB/s", more_is_better=True)
    idle = Row("a line from a container to its `logs -f`, median", "ms")
    median = Row("the same beside one that prints as fast as it can", "ms")
    slow = Row("the same, 95 of 100 lines", "ms")
    for subject in subjects:
        if not isinstance(subject, DaemonSubject):
            continue
        note(f"streams on {subject.name}")
        engine, name = subject.engine, subject.name
        try:
            logged.values[name] = _into_log(engine, mib, "json-file")
            local.values[name] = _into_log(engine, mib, "local")
            attached.values[name] = _attached(subject, mib * 2, "none")
            both.values[name] = _attached(subject, mib, "json-file")
            idle.values[name] = statistics.median(_latencies_ms(engine))
            with _flood(engine):
                times = sorted(_latencies_ms(engine))
            median.values[name], slow.values[name] = statistics.median(times), times[len(times) * 95 // 100]
        except (Failed, subprocess.SubprocessError, AssertionError) as problem:
            note(f"{name}: {problem}")
    return [logged, local, attached, both, idle, median, slow]


def _script(mib: int) -> list[str]:
    pour = _TIMED.format(pour=_POUR.format(times=mib // FILE_MIB))
    return ["sh", "-c", f"{_PREPARE}; {pour}"]


def _speed(mib: int, clock: str) -> float:
    begin, end = (float(text) for text in clock.split()[-2:])
    return mib * 1.048576 / (end - begin)


def _into_log(engine: Engine, mib: int, driver: str) -> float:
    """Megabytes a second that a container gets rid of with nobody attached."""
    flags = ["--log-driver", driver, *BOUNDED]
    if driver == "local":
        flags += ["--log-opt", "compress=false"]
    name = engine.ok("run", "-d", *flags, IMAGE, *_script(mib))
    engine.ok("wait", name, timeout_s=300)
    # What was in the pipe of stdout may come after it.
    clock = engine.docker("logs", "--tail", "20000", name).stderr
    engine.ok("rm", name)
    return _speed(mib, clock)


def _attached(subject: DaemonSubject, mib: int, driver: str) -> float:
    """Megabytes a second that a container gets rid of to the docker command."""
    command = subject.command("run", "--rm", "--log-driver", driver, IMAGE, *_script(mib))
    done = subprocess.run(
        command, env=subject.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, check=True
    )
    return _speed(mib, done.stderr.decode())


@contextmanager
def _flood(engine: Engine) -> Iterator[None]:
    """Meanwhile a container prints as fast as it can."""
    script = f"{_PREPARE}; while :; do cat /dev/shm/l; done"
    name = engine.ok("run", "-d", *BOUNDED, IMAGE, "sh", "-c", script)
    try:
        time.sleep(1)  # it fills its file first
        yield
    finally:
        engine.ok("rm", "-f", name)


def _latencies_ms(engine: Engine) -> list[float]:
    """How long lines take from a container's stdin to its stdout, its log, and a reader of that."""
    api = engine.client.api
    name = engine.ok("run", "-di", IMAGE, "cat")
    connection = api.attach_socket(name, params={"stdin": 1, "stream": 1})
    try:
        lines = api.logs(name, stream=True, follow=True)
        times = []
        for number in range(SAMPLES):
            begin = time.perf_counter()
            os.write(connection.fileno(), f"line {number}\n".encode())
            next(lines)
            times.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.005)
        return times
    finally:
        connection.close()
        engine.ok("rm", "-f", name)
