"""docs/api.md against the tests that it is made from."""

from __future__ import annotations

import pytest

from tests.conformance.operations.table import DOCUMENT, text
from tests.engines.swagger import description_path


def test_api_table_is_what_the_tests_prove() -> None:
    """The table of operations says no more, and no less, than the tests."""
    if not description_path().exists():
        pytest.skip(f"no description of the Docker API at {description_path()}; set SHOAL_REFERENCE to its directory")
    assert DOCUMENT.read_text(encoding="utf-8") == text(), "run ./dev api"
