"""Names of signals."""

from __future__ import annotations

import pytest

from shoal.api.signals import parse_signal
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("term", 15), ("9", 9), (" sigkill ", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("64", 64)],
)
def test_parse_signal_known_is_its_number(text: str, number: int) -> None:
    """Every spelling that Docker takes is understood."""
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "SIGNOPE", "RTMIN-1", "RTMAX+1", "-9", "RTMIN+31"])
def test_parse_signal_unknown_is_refused(text: str) -> None:
    """Anything else is an invalid signal, in Docker's words."""
    with pytest.raises(InvalidArgument) as caught:
        parse_signal(text)
    assert caught.value.what == f"Invalid signal: {text}"
