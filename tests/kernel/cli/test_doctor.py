"""`shoal doctor` on this very machine: true answers, nothing changed by asking."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.linux import procfs
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import COMMAND, environment, shoal

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine() -> Iterator[Shoald]:
    """An engine to ask."""
    engine = Shoald("--ip-forward=false")
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


def _rows(output: bytes) -> dict[str, dict[str, str]]:
    rows = [json.loads(line) for line in output.splitlines()]
    return {f"{row['Area']}/{row['Name']}": row for row in rows}


def test_doctor_says_what_is_there_with_reason_and_mend(engine: Shoald) -> None:
    """Every finding that is not all right has a reason and a mend; an engine that runs answers."""
    outcome = shoal(engine, "doctor", "--format", "json", "--data-root", engine.data_root)
    rows = _rows(outcome.stdout)
    assert outcome.returncode == int(any(row["State"] == "problem" for row in rows.values())), outcome.stdout
    assert rows["engine/answers"]["State"] == "ok"
    assert rows["kernel/clone3"]["State"] == "ok"
    assert {row["State"] for row in rows.values()} <= {"ok", "warning", "problem"}
    for row in rows.values():
        assert row["State"] == "ok" or (row["Detail"] and row["Fix"]), row
    areas = [row["Area"] for row in rows.values()]
    assert list(dict.fromkeys(areas)) == ["kernel", "machine", "storage", "limits", "network", "engine"]


def test_doctor_without_an_engine_looks_at_the_machine_and_starts_none(tmp_path: Path) -> None:
    """That no engine runs is a warning; the exit code speaks of the machine."""
    variables = environment() | {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    outcome = subprocess.run([*COMMAND, "doctor", "--format", "json"], capture_output=True, env=variables, timeout=30)
    rows = _rows(outcome.stdout)
    assert rows["engine/answers"]["State"] == "warning"
    assert "Is shoald running?" in rows["engine/answers"]["Detail"]
    assert len(rows) > 30


def test_doctor_prints_a_list_for_people(engine: Shoald) -> None:
    """Plain text in a pipe; -q leaves out what is all right, and the sum stays."""
    whole = shoal(engine, "doctor").stdout.decode()
    quiet = shoal(engine, "doctor", "-q").stdout.decode()
    assert "\033" not in whole
    assert "  ok       clone3" in whole
    assert "  ok " not in quiet
    assert whole.splitlines()[-1].split(":")[0] == quiet.splitlines()[-1].split(":")[0]


def test_doctor_finds_what_a_dead_daemon_left(engine: Shoald) -> None:
    """A cgroup with the name of a daemon that does not run is told with the command that removes it."""
    tops = list(Path("/sys/fs/cgroup").glob("*/cgroup.procs")) or [Path("/sys/fs/cgroup/cgroup.procs")]
    left = tops[0].parent / "shoal-0123abcd"
    left.mkdir()
    try:
        rows = [json.loads(line) for line in shoal(engine, "doctor", "--format", "json").stdout.splitlines()]
        (found,) = [row for row in rows if "shoal-0123abcd" in row["Detail"]]
        assert (found["Name"], found["State"]) == ("leftovers", "warning")
        assert subprocess.run(found["Fix"], shell=True, capture_output=True).returncode == 0
        assert not left.exists()
    finally:
        if left.exists():
            left.rmdir()


@pytest.mark.usefixtures("engine")
def test_doctor_leaves_no_process_and_no_descriptor_behind() -> None:
    """The process that lends its user namespace is gone afterwards."""
    from shoal.cli.doctor.kernel import check_kernel

    before, children = sorted(os.listdir("/proc/self/fd")), procfs.children(os.getpid())
    names = [finding.name for finding in check_kernel()]
    assert "idmapped-mounts" in names
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert set(procfs.children(os.getpid())) <= set(children)
