"""`docker build` with the classic builder: many small steps, many small files, the cache, and stages side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines.busybox import IMAGE
from tests.perf.measures import Row, note
from tests.perf.subjects import Failed, Subject, timed

_FILES_A_DIRECTORY = 100
_RUNS = "".join(f"RUN echo {number}\n" for number in range(10))
_STAGES = (
    f"FROM {IMAGE} AS one\nRUN i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done\n"
    f"FROM {IMAGE} AS two\nRUN i=1; while [ $i -lt 300000 ]; do i=$((i+1)); done\n"
    f"FROM {IMAGE}\nCOPY --from=one /etc /one\nCOPY --from=two /etc /two\n"
)


def build_rows(subjects: list[Subject], rounds: int, many: int) -> list[Row]:
    """The best of some rounds, the engines in turn; `many` files are in the big context."""
    fresh = Row("build: FROM, 10 RUN echo, COPY of 2,000 files, `--no-cache`", "s")
    cached = Row("the same build, all cached", "s")
    changed = Row(f"build: COPY of {many:,} files of which one has changed", "s")
    sent = Row("the same with `shoal build`, which sends what has changed", "s")
    stage = Row("build: a stage that uses a processor, `--no-cache`", "s")
    stages = Row("build: two stages that use a processor each, `--no-cache`", "s")
    os.environ["DOCKER_BUILDKIT"] = "0"
    with _context(2_000, _RUNS + "COPY . /files/\n") as small, _context(many, "COPY . /files/\n") as big:
        (small / "Stages").write_text(_STAGES)
        for turn in range(rounds):
            for subject in subjects:
                note(f"builds, round {turn + 1}, on {subject.name}")
                try:
                    _keep_best(fresh, subject, "--no-cache", str(small))
                    _keep_best(cached, subject, str(small))
                    timed(subject, "build", "-q", str(big))
                    (big / "d0/f0").write_text(f"{subject.name} {turn}")
                    _keep_best(changed, subject, str(big))
                    if subject.name == "shoald":
                        _keep_best_of(sent, subject, f"{turn}", big)
                    _keep_best(stage, subject, "--no-cache", "-f", str(small / "Stages"), "--target", "one", str(small))
                    _keep_best(stages, subject, "--no-cache", "-f", str(small / "Stages"), str(small))
                except Failed as problem:
                    note(f"{subject.name}: {problem}")
    return [fresh, cached, changed, sent, stage, stages]


def _keep_best(row: Row, subject: Subject, *words: str) -> None:
    seconds = timed(subject, "build", "-q", *words)
    row.values[subject.name] = min(seconds, row.values.get(subject.name, seconds))


def _keep_best_of(row: Row, subject: Subject, mark: str, context: Path) -> None:
    """The time of `shoal build` when one file has changed since it was run the last time."""
    command = [str(Path(sys.executable).with_name("shoal")), "build", "-q", str(context)]
    subprocess.run(command, env=subject.environment(), check=True, stdout=subprocess.DEVNULL)
    (context / "d0/f0").write_text(f"changed {mark}")
    begin = time.perf_counter()
    subprocess.run(command, env=subject.environment(), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    row.values[subject.name] = min(seconds, row.values.get(subject.name, seconds))


@contextmanager
def _context(files: int, text: str) -> Iterator[Path]:
    """A directory with so many small files and a Dockerfile."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as place:
        for number in range(files):
            directory = Path(place, f"d{number // _FILES_A_DIRECTORY}")
            directory.mkdir(exist_ok=True)
            (directory / f"f{number % _FILES_A_DIRECTORY}").write_text(f"file {number}\n" * 20)
        Path(place, "Dockerfile").write_text(f"FROM {IMAGE}\n{text}")
        yield Path(place)
