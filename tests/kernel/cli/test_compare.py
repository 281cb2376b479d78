"""`shoal compare` on a whole engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.busybox import IMAGE
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root

FIGURES = {"start", "stop", "pss", "memory_one", "cpu_rest", "cpu", "syscall", "files", "rtt", "stream"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Shoald]:
    """An engine with the image `busybox`."""
    engine = Shoald("--ip-forward=false")
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def compare(engine: Shoald, *words: str) -> subprocess.CompletedProcess[str]:
    """Containers and bare processes, one of each, quickly."""
    done = shoal(engine, "compare", "--quick", "-n", "1", "--modes", "container,process", *words)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_compare_measures_the_container_and_the_bare_process(engine: Shoald, tmp_path: Path) -> None:
    """Every figure has samples of both, an instance sees another machine than the host's, and nothing is left."""
    words = ["busybox", "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]
    page = tmp_path / "page.html"
    done = compare(engine, "--json", "-", "--html", str(page), IMAGE, *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    samples = {figure["Key"]: figure["Samples"] for figure in told["Figures"]}
    assert FIGURES | {"memory_each", "disk_own", "disk_shared", "helper"} == samples.keys()
    assert all(samples[key]["container"] and samples[key]["process"] for key in FIGURES)
    assert all(value > 0 for key in ("start", "stop", "pss", "cpu", "rtt") for value in samples[key]["container"])
    seen = {sight["Title"]: sight["Seen"] for sight in told["Sights"]}
    assert seen["kernel release"]["container"] == seen["kernel release"]["process"]
    assert seen["host name"]["container"] != seen["host name"]["process"]
    assert int(seen["processes"]["container"]) < int(seen["processes"]["process"])
    assert told["Notes"] == []
    assert page.read_text().startswith("<!doctype html>")
    assert engine.request("GET", "/containers/json?all=1").json == []


def test_compare_of_an_application_that_ends_by_itself(engine: Shoald) -> None:
    """An idle program stands for it, and the table, with a column for each, says so."""
    done = compare(engine, IMAGE, "true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[-3:] == ["host", "process", "container"]
    assert "ends by itself" in done.stdout


def test_compare_says_what_is_missing(engine: Shoald) -> None:
    """An image that there is not, a mode that is none."""
    missing = compare(engine, "nosuch/image")
    assert missing.returncode == 1
    assert "No such image: nosuch/image" in missing.stderr
    unknown = compare(engine, "--modes", "jail", IMAGE)
    assert (unknown.returncode, "unknown mode 'jail'" in unknown.stderr) == (1, True)
