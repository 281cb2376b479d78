"""Looking for what an engine left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shoal.cli.demo.ending import kept_files
from shoal.cli.demo.footprint import Footprint
from shoal.cli.demo.measures import disk_bytes, files_in, spread
from shoal.cli.memory import available_kib, proportional_kib


def test_footprint_of_nothing_is_empty(tmp_path: Path) -> None:
    """Every kind is looked for, and none is found."""
    left = Footprint(str(tmp_path)).left()
    assert set(left) == {
        "mounts",
        "network namespaces",
        "cgroups",
        "veths and bridges",
        "nftables tables",
        "processes",
    }
    assert not any(left.values())


def test_footprint_finds_a_process_by_its_command_and_loses_it(tmp_path: Path) -> None:
    """While it lives it is left; afterwards it is not."""
    footprint = Footprint(str(tmp_path))
    program = [sys.executable, "-c", "input('ready')", str(tmp_path)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"  # just after its exec a process has no command line yet
        footprint.note_processes()
        assert process.pid in {pid for pid, _ in footprint.processes}
        assert [line.split()[0] for line in footprint.left()["processes"]] == [str(process.pid)]
        process.kill()
    assert footprint.left()["processes"] == []


def test_footprint_process_number_that_came_back_is_another_process(tmp_path: Path) -> None:
    """A pid with another start time is not ours."""
    footprint = Footprint(str(tmp_path), processes={(os.getpid(), "1")})
    assert footprint.left()["processes"] == []


def test_footprint_namespace_number_that_came_back_is_another_namespace(tmp_path: Path) -> None:
    """The kernel reuses the numbers of namespaces at once: one that only others are in is not ours."""
    ours = os.readlink("/proc/self/ns/net")
    assert Footprint(str(tmp_path), namespaces={ours}).left()["network namespaces"] == []


def test_footprint_finds_links_by_name(tmp_path: Path) -> None:
    """The loopback stands for a veth that stayed."""
    assert Footprint(str(tmp_path), links={"lo", "vegone"}).left()["veths and bridges"] == ["lo"]


def test_kept_files_leaves_the_engines_own_out(tmp_path: Path) -> None:
    """What begins with a dot is not a container's."""
    (tmp_path / "snapshots" / ".once").mkdir(parents=True)
    (tmp_path / "snapshots" / ".once" / "x").write_text("")
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / "shoal.db").write_text("")
    assert kept_files(str(tmp_path)) == []
    (tmp_path / "blobs" / "sha256" / "aa").write_text("")
    assert kept_files(str(tmp_path)) == [str(tmp_path / "blobs" / "sha256" / "aa")]


def test_disk_bytes_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    """As du does."""
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    once = disk_bytes(str(tmp_path))
    os.link(tmp_path / "a", tmp_path / "b")
    assert disk_bytes(str(tmp_path)) == once >= 100_000


def test_files_in_counts_files_and_no_directories(tmp_path: Path) -> None:
    """Below, and the paths themselves."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "f").write_text("")
    (tmp_path / "g").write_text("")
    found = files_in([str(tmp_path / "d"), str(tmp_path / "g")])
    assert found == [str(tmp_path / "d" / "f"), str(tmp_path / "g")]


def test_memory_figures_come_from_the_kernel() -> None:
    """This process has some; one that is gone has none."""
    assert available_kib() > 0
    assert proportional_kib([os.getpid()]) > 1000
    assert proportional_kib([2**22 + 1]) == 0


def test_spread_tells_median_best_and_worst() -> None:
    """In milliseconds."""
    assert spread([0.003, 0.001, 0.002]) == "2.0 ms (median of 3; best 1.0 ms, worst 3.0 ms)"
