"""How long a busy registry is left alone."""

from __future__ import annotations

import pytest

from shoal.image.registry.session import pause_before


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("", 0.5),
        ("soon", 0.5),
        ("-3", 0.5),
        ("9" * 400, 999_999_999.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_pause_before_the_next_try_is_the_registrys(retry_after: str, seconds: float) -> None:
    """Seconds or a date; what is neither means a moment."""
    assert pause_before(1, retry_after, 0.25, 10.0) == seconds


def test_pause_before_further_tries_grows() -> None:
    """Each time it takes twice as long."""
    assert [pause_before(attempt, "", 0.25, 0.0) for attempt in (1, 2, 3)] == [0.5, 1.0, 2.0]
