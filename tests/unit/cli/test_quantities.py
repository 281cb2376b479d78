"""Sizes and times in words."""

from __future__ import annotations

import pytest

from shoal.cli.quantities import (
    binary_size,
    decimal_size,
    duration_seconds,
    duration_words,
    moment,
    size_bytes,
)
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("100", 100), ("1k", 1024), ("64m", 64 << 20), ("1.5g", 3 << 29), ("2GB", 2 << 30), ("1KiB", 1024)],
)
def test_size_bytes_counts_in_powers_of_1024(text: str, size: int) -> None:
    """What users write for memory."""
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1m", "1x", "1 m m", "0x10"])
def test_size_bytes_malformed_is_refused(text: str) -> None:
    """Docker's sentence."""
    with pytest.raises(InvalidArgument, match="invalid size"):
        size_bytes(text)


def test_sizes_are_shown_as_docker_shows_them() -> None:
    """Images in powers of 1000, memory in powers of 1024."""
    assert [decimal_size(size) for size in (0, 999, 1000, 4_270_000, 117_200_000)] == [
        "0B",
        "999B",
        "1kB",
        "4.27MB",
        "117MB",
    ]
    assert [binary_size(size) for size in (0, 1024, 2_047_000, 25_281_000_000)] == [
        "0B",
        "1KiB",
        "1.952MiB",
        "23.54GiB",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1.2, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (49 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (70 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_duration_words_are_dockers(seconds: float, words: str) -> None:
    """The steps at which the unit changes."""
    assert duration_words(seconds) == words


def test_duration_seconds_reads_go_durations() -> None:
    """And nothing else."""
    assert duration_seconds("1h30m") == 5400
    assert duration_seconds("1.5s") == 1.5
    assert duration_seconds("100ms") == 0.1
    assert duration_seconds("10") is None
    assert duration_seconds("10x") is None


def test_moment_gives_unix_seconds() -> None:
    """Numbers as they are, durations before now, dates with their zone."""
    assert moment("1700000000.5", 0) == "1700000000.5"
    assert moment("10m", 1000) == "400.000000000"
    assert moment("1970-01-01T00:00:10Z", 0) == "10.000000000"
    assert moment("1970-01-01T01:00:10.123456789+01:00", 0) == "10.123456000"
    with pytest.raises(InvalidArgument, match="invalid time `tomorrow`"):
        moment("tomorrow", 0)
