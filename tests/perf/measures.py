"""The measurements: alternating rounds for what is quick, one pass a subject for what is many."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines.busybox import IMAGE
from tests.perf.subjects import IDLE, Failed, Subject, timed

_SETTLE_S = 0.3
PORTS = itertools.count(42_000)


@dataclass
class Row:
    """One line of the report: a figure for each subject. Smaller is better, unless `more_is_better`."""

    title: str
    unit: str
    values: dict[str, float] = field(default_factory=dict)
    more_is_better: bool = False


def note(text: str) -> None:
    """Tell the one who waits what is going on."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def alternating(title: str, subjects: list[Subject], rounds: int, action: Callable[[Subject], list[str]]) -> Row:
    """The median time of a command, the subjects taking turns so that a busy moment hits all alike."""
    note(title)
    samples: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for turn in range(rounds + 1):
        for subject in subjects:
            # What one engine still does behind its answer is not the next one's time.
            time.sleep(_SETTLE_S)
            try:
                seconds = timed(subject, *action(subject))
            except Failed as problem:
                note(f"{subject.name}: {problem}")
                continue
            if turn:  # the first turn warms caches up
                samples[subject.name].append(seconds * 1000)
    return Row(title, "ms", {name: statistics.median(times) for name, times in samples.items() if times})


def quick_rows(subjects: list[Subject], rounds: int) -> list[Row]:
    """The commands that a person types: run in its kinds, exec, ps."""
    run = ["run", "--rm"]
    engines = [subject for subject in subjects if subject.runs_containers]
    for subject in engines:
        timed(subject, "run", "-d", "--name", "bench-idle", IMAGE, *IDLE)
    rows = [
        alternating("`run --rm IMG true`, bridge", subjects, rounds, lambda _: [*run, IMAGE, "true"]),
        alternating(
            "the same, `--network none`", subjects, rounds, lambda _: [*run, "--network", "none", IMAGE, "true"]
        ),
        alternating(
            "the same, `--network host`", subjects, rounds, lambda _: [*run, "--network", "host", IMAGE, "true"]
        ),
        alternating(
            "the same, `-p PORT:80`", subjects, rounds, lambda _: [*run, "-p", f"{next(PORTS)}:80", IMAGE, "true"]
        ),
        alternating("`exec IDLE true`", subjects, rounds, lambda _: ["exec", "bench-idle", "true"]),
        alternating("`ps`", subjects, rounds, lambda _: ["ps"]),
    ]
    for subject in engines:
        timed(subject, "rm", "-f", "bench-idle")
    return rows


def available_kib() -> int:
    """MemAvailable of the machine."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/meminfo has no MemAvailable")


def settled_kib() -> int:
    """MemAvailable once it stands still, or after five seconds."""
    last = available_kib()
    for _ in range(10):
        time.sleep(0.5)
        now = available_kib()
        if abs(now - last) < 512:
            return now
        last = now
    return last


def pss_mib(pids: list[int]) -> float:
    """The memory of processes, what they share counted in parts (PSS)."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended meanwhile
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def many_rows(subjects: list[Subject], count: int) -> list[Row]:
    """Many idle containers: their start one after another, their memory, the engine's memory, their removal."""
    start = Row(f"start of {count} idle containers, one after another", "s")
    memory = Row("memory per idle container (MemAvailable)", "MiB")
    daemons = Row(f"the engine's own processes with {count} containers (PSS)", "MiB")
    removal = Row(f"`rm -f` of {count}", "s")
    for subject in subjects:
        note(f"{count} idle containers on {subject.name}")
        names = [f"bench-{number}" for number in range(count)]
        before = settled_kib()
        try:
            start.values[subject.name] = sum(
                timed(subject, "run", "-d", "--name", name, IMAGE, *IDLE) for name in names
            )
            memory.values[subject.name] = (before - settled_kib()) / 1024 / count
            processes = subject.processes()
            daemons.values[subject.name] = sum(pss_mib(pids) for pids in processes.values())
            for role, pids in processes.items():
                each = f", {pss_mib(pids) / len(pids):.1f} MiB each" if pids else ""
                note(f"  {role}: {len(pids)} processes, {pss_mib(pids):.1f} MiB PSS{each}")
            removal.values[subject.name] = timed(subject, "rm", "-f", *names)
        except Failed as problem:
            note(f"{subject.name}: {problem}")
    return [start, memory, daemons, removal]


def thousand(subject: Subject, count: int = 1000) -> list[str]:
    """A thousand containers at once, each of which answers an exec: sentences for the report."""
    names = [f"bench-{number}" for number in range(count)]
    before = settled_kib()

    def answers(name: str) -> bool:
        command = subject.command("exec", name, "hostname")
        return not subprocess.run(command, env=subject.environment(), capture_output=True, timeout=120).returncode

    with ThreadPoolExecutor(4) as clients:
        begin = time.perf_counter()
        list(clients.map(lambda name: timed(subject, "run", "-d", "--name", name, IMAGE, *IDLE), names))
        started = time.perf_counter() - begin
        used = (before - settled_kib()) / 1024
        begin = time.perf_counter()
        good = sum(clients.map(answers, names))
        asked = time.perf_counter() - begin
    sizes = ", ".join(f"{role} {pss_mib(pids):.0f} MiB" for role, pids in subject.processes().items())
    removed = timed(subject, "rm", "-f", *names)
    return [
        f"{subject.name}: {count} containers started in {started:.1f} s by 4 clients; {good} of {count} answered "
        f"an exec, in {asked:.1f} s; {used / count:.2f} MiB each, of it {sizes} (PSS); removed in {removed:.1f} s.",
    ]
