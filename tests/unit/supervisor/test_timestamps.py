"""Times as Docker writes them."""

from __future__ import annotations

import pytest

from shoal.supervisor.timestamps import rfc3339_nano


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_100_000_000, "2023-11-14T22:13:20.1Z"),
        (1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z"),
        (1_709_164_800_000_001_000, "2024-02-29T00:00:00.000001Z"),
    ],
)
def test_rfc3339_nano_cuts_trailing_zeros(time_ns: int, text: str) -> None:
    """As Go's RFC3339Nano."""
    assert rfc3339_nano(time_ns) == text
