"""OCI runtimes on the same bundle, taking turns: `shoal-runtime` and whichever of runc and crun is installed."""

from __future__ import annotations

import io
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from shoal.oci_runtime.verbs.describing import default_spec
from tests.engines.busybox import root_filesystem
from tests.perf import report
from tests.perf.measures import Row, note

OWN = "shoal-runtime"


def installed() -> dict[str, str]:
    """The programs by name, ours first."""
    found = {OWN: str(Path(sys.executable).with_name(OWN))}
    return found | {name: path for name in ("runc", "crun") if (path := shutil.which(name))}


def make_bundle(directory: Path) -> None:
    """A bundle whose program ends at once."""
    with tarfile.open(fileobj=io.BytesIO(root_filesystem())) as archive:
        archive.extractall(directory / "rootfs")
    spec = json.loads(json.dumps(default_spec(rootless=False)))
    # The oldest of the runtimes knows no newer one; ours takes it as well.
    spec["ociVersion"] = "1.0.2"
    spec["process"] |= {"terminal": False, "args": ["true"]}
    (directory / "config.json").write_text(json.dumps(spec))


def runtime_rows(rounds: int) -> tuple[list[str], list[Row]]:
    """(names, rows): `run` to the program's end, and `state`, as medians in ms."""
    note("OCI runtimes")
    programs = installed()
    samples: dict[str, dict[str, list[float]]] = {verb: {name: [] for name in programs} for verb in ("run", "state")}
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name:
        directory = Path(name)
        make_bundle(directory)
        for turn in range(rounds + 1):
            for name, program in programs.items():
                call = [program, "--root", str(directory / f"state-{name}")]
                bundle = ["--bundle", str(directory), f"bench-{turn}"]
                times = {"run": _timed([*call, "run", *bundle])}
                _timed([*call, "create", *bundle])
                times["state"] = _timed([*call, "state", f"bench-{turn}"])
                _timed([*call, "delete", "--force", f"bench-{turn}"])
                for verb, seconds in times.items():
                    if turn:  # the first turn warms caches up
                        samples[verb][name].append(seconds * 1000)
    titles = {"run": "`run` of an OCI bundle with `true`", "state": "`state` of a container"}
    rows = [
        Row(titles[verb], "ms", {name: statistics.median(times) for name, times in by_name.items()})
        for verb, by_name in samples.items()
    ]
    return list(programs), rows


def table(rounds: int) -> str:
    """The rows as a table of their own."""
    names, rows = runtime_rows(rounds)
    return report.table(rows, names, names)


def _timed(command: list[str]) -> float:
    begin = time.perf_counter()
    null = subprocess.DEVNULL
    subprocess.run(command, stdin=null, stdout=null, stderr=null, timeout=60, check=True)
    return time.perf_counter() - begin
