"""What is known of the end of a program in a guest."""

from __future__ import annotations

from pathlib import Path

from shoal.runtime.driver import Exit
from shoal.runtime.vm.record import completed, machine_record


def test_completed_exit_has_the_guests_signal_and_memory(tmp_path: Path) -> None:
    """The record is used once: the next run has its own."""
    exit_file = str(tmp_path / "exit.json")
    Path(machine_record(exit_file)).write_text("9 oom")
    ended = completed(Exit(137, 1), exit_file)
    assert (ended.signal, ended.oom_killed) == (9, True)
    assert completed(Exit(137, 1), exit_file) == Exit(137, 1)


def test_completed_exit_of_a_killed_monitor_is_the_supervisors(tmp_path: Path) -> None:
    """Its record is empty."""
    exit_file = str(tmp_path / "exit.json")
    Path(machine_record(exit_file)).write_text("")
    assert completed(Exit(137, 1, signal=9), exit_file) == Exit(137, 1, signal=9)
