"""What results make of a container's health."""

from __future__ import annotations

from shoal.engine.health.check import HealthCheck
from shoal.engine.health.record import HealthRecord, ProbeResult

S = 1_000_000_000
CHECK = HealthCheck(("true",), S, S, 10 * S, S, 2)


def _result(code: int, at_s: int, output: str = "") -> ProbeResult:
    return ProbeResult(at_s * S, at_s * S + 1, code, output)


def test_note_failures_within_the_start_period_do_not_count() -> None:
    """Up to its end the streak is 0; then the retries are counted."""
    health = HealthRecord()
    assert not health.note(_result(1, 9), CHECK, 0)
    assert health.failing_streak == 0
    assert not health.note(_result(1, 10), CHECK, 0)
    assert (health.status, health.failing_streak) == ("starting", 1)
    assert health.note(_result(1, 11), CHECK, 0)
    assert (health.status, health.failing_streak) == ("unhealthy", 2)


def test_note_after_a_success_failures_count_in_the_start_period() -> None:
    """Who has been healthy once has started."""
    health = HealthRecord()
    assert health.note(_result(0, 1), CHECK, 0)
    assert not health.note(_result(1, 2), CHECK, 0)
    assert (health.status, health.failing_streak) == ("healthy", 1)


def test_note_success_ends_the_streak() -> None:
    """One success is enough to be healthy."""
    health = HealthRecord(status="unhealthy", failing_streak=7)
    assert health.note(_result(0, 1), CHECK, 0)
    assert (health.status, health.failing_streak, health.was_healthy) == ("healthy", 0, True)


def test_note_keeps_the_last_five_results() -> None:
    """The record is bounded."""
    health = HealthRecord()
    for number in range(8):
        health.note(_result(0, number, str(number)), CHECK, 0)
    assert [entry.output for entry in health.view().log] == ["3", "4", "5", "6", "7"]


def test_begin_keeps_the_results_of_the_run_before() -> None:
    """A new run is starting with no streak; what was seen before can still be read."""
    health = HealthRecord()
    health.note(_result(1, 20), CHECK, 0)
    health.cease()
    assert health.status == "unhealthy"
    health.begin()
    assert (health.status, health.failing_streak, health.was_healthy) == ("starting", 0, False)
    assert len(health.results) == 1


def test_view_is_dockers() -> None:
    """Times are RFC 3339."""
    health = HealthRecord(status="healthy", results=[_result(0, 1, "ok")])
    shown = health.view()
    assert (shown.status, shown.log[0].start, shown.log[0].output) == ("healthy", "1970-01-01T00:00:01Z", "ok")
