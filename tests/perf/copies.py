"""`cp` of a tree into a container and out of it, beside tar.

Nothing is deleted before all is measured: for a minute ext4 steps around inodes that were deleted, and whoever makes
thousands of files then pays for it (40 % of the time, where tar's copy had just been deleted).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.engines.busybox import IMAGE
from tests.perf.measures import Row, note
from tests.perf.subjects import IDLE, Failed, Subject, timed

_SMALL_BYTES = 16 * 1024
_BIG_BYTES = 4 * 1024 * 1024
_FILES_A_DIRECTORY = 100


def copy_rows(subjects: list[Subject], mib: int, rounds: int) -> list[Row]:
    """A tree of so many MiB in and out: the best of some rounds, the engines in turn."""
    with _tree(mib) as tree, ExitStack() as ends:
        tar_s = min(_tar_s(tree, tree.with_name(f"tar-{turn}")) for turn in range(rounds))
        into = Row(f"`cp` of {mib} MiB into a container (tar to tar on the host: {tar_s:.2f} s)", "s")
        out = Row("`cp` of it out of the container", "s")
        for turn in range(rounds):
            for subject in subjects:
                note(f"cp of {mib} MiB, round {turn + 1}, on {subject.name}")
                try:
                    _round(subject, tree, turn, into, out, ends)
                except Failed as problem:
                    note(f"{subject.name}: {problem}")
    return [into, out]


def _round(subject: Subject, tree: Path, turn: int, into: Row, out: Row, ends: ExitStack) -> None:
    name = f"bench-cp-{turn}"
    timed(subject, "run", "-d", "--name", name, IMAGE, *IDLE)
    ends.callback(timed, subject, "rm", "-f", name)
    _keep_best(into, subject, timed(subject, "cp", str(tree), f"{name}:/tree"))
    _keep_best(out, subject, timed(subject, "cp", f"{name}:/tree", str(tree.with_name(f"{subject.name}-{turn}"))))


def _keep_best(row: Row, subject: Subject, seconds: float) -> None:
    row.values[subject.name] = min(seconds, row.values.get(subject.name, seconds))


def _tar_s(tree: Path, target: Path) -> float:
    """What tar takes for the same way, from one directory to another."""
    target.mkdir()
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", 'tar -cf - -C "$0" . | tar -xf - -C "$1"', tree, target], check=True)
    return time.perf_counter() - begin


@contextmanager
def _tree(mib: int) -> Iterator[Path]:
    """A tree whose bytes are one tenth in small files, the rest in files of 4 MiB; in the page cache."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as place:
        tree = Path(place) / "tree"
        small = mib * 1024 * 1024 // 10 // _SMALL_BYTES
        sizes = [_SMALL_BYTES] * small + [_BIG_BYTES] * (mib * 9 // 10 * 1024 * 1024 // _BIG_BYTES)
        for number, size in enumerate(sizes):
            directory = tree / f"d{number // _FILES_A_DIRECTORY}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"f{number}").write_bytes(os.urandom(size))
        yield tree
