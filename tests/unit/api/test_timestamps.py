"""Times as text and back, to the nanosecond."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.timestamps import format_fixed, format_rfc3339, parse_duration, parse_moment, parse_rfc3339, parse_unix
from shoal.errors import InvalidArgument

TIMES = st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9)
NOON = 1_767_355_200_000_000_000  # 2026-01-02T12:00:00Z


@given(TIMES)
def test_time_survives_both_forms_of_text(time_ns: int) -> None:
    """Nothing is lost between a number and its text."""
    assert parse_rfc3339(format_fixed(time_ns)) == time_ns
    assert parse_rfc3339(format_rfc3339(time_ns)) == time_ns


def test_time_is_written_as_go_writes_it() -> None:
    """Nine digits in logs, the shortest form in inspections, the year 1 for never."""
    assert format_fixed(NOON) == "2026-01-02T12:00:00.000000000Z"
    assert format_rfc3339(NOON) == "2026-01-02T12:00:00Z"
    assert format_rfc3339(NOON + 500_000_000) == "2026-01-02T12:00:00.5Z"
    assert format_rfc3339(-62_135_596_800 * 10**9) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T13:00:00+01:00", NOON),
        ("2026-01-02T06:30:00-0530", NOON),
        ("2026-01-02T12:00:00.000000001Z", NOON + 1),
        ("2026-01-02T12:00", NOON),
        ("2026-01-02", NOON - 12 * 3600 * 10**9),
        ("1767355200", NOON),
        ("1767355200.000000001", NOON + 1),
        ("1767355200.5", NOON + 500_000_000),
        ("10m", NOON + 5 - 600 * 10**9),
        ("1h30m0.5s", NOON + 5 - 5400 * 10**9 - 500_000_000),
    ],
)
def test_moment_is_read_in_every_form(text: str, time_ns: int) -> None:
    """Unix times, dates and durations before now are understood."""
    assert parse_moment(text, now_ns=NOON + 5) == time_ns


def test_moment_without_zone_is_local() -> None:
    """A date that names no zone is in the reader's."""
    assert parse_rfc3339("2026-01-02T14:00", local=timezone(timedelta(hours=2))) == NOON


@pytest.mark.parametrize(
    "text", ["", "x", "2026-13-01", "2026-01-02T25:00", "1.2.3", "10 m", "m", "١", "99999-01-01", "1e9"]
)
def test_moment_nonsense_is_refused(text: str) -> None:
    """What is no time is told."""
    with pytest.raises(InvalidArgument, match="invalid timestamp"):
        parse_moment(text, now_ns=0)


def test_unix_time_keeps_its_sign_and_its_nanoseconds() -> None:
    """The fraction counts in the direction of the whole, and floats are never involved."""
    assert parse_unix("-1.5") == -1_500_000_000
    assert parse_unix("1700000000.123456789") == 1_700_000_000_123_456_789
    with pytest.raises(InvalidArgument):
        parse_unix("2026-01-02")


def test_duration_is_gos() -> None:
    """Units add up; what has none is no duration."""
    assert parse_duration("1h2m3s4ms5us6ns") == 3_723_004_005_006
    assert parse_duration("0.1s") == 100_000_000
    with pytest.raises(InvalidArgument, match="invalid duration"):
        parse_duration("5")
