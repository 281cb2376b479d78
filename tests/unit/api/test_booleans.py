"""True and false as clients write them."""

from __future__ import annotations

import pytest

from shoal.api.booleans import read_boolean


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("True", True), ("t", True), ("0", False), ("FALSE", False), ("f", False)]
    + [(text, None) for text in ("", "yes", "tRuE", " true", "2")],
)
def test_read_boolean_reads_what_go_does(text: str, value: bool | None) -> None:
    """Go's six spellings of each, and nothing else."""
    assert read_boolean(text) is value
