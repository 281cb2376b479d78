"""Fixtures of the tests that drive a whole engine from the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.shoald import Shoald


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Takes the place of the check around each kernel test.

    The engine goes on from test to test and keeps blank processes ready, which come and go meanwhile. It is checked as
    a whole when it ends: `Shoald.close` looks for everything that it may leave.
    """


@pytest.fixture
def engine(shoald: Shoald) -> Iterator[Shoald]:
    """The session's shoald, without images and caches of builds afterwards."""
    yield shoald
    shoald.clear()
    shoald.remove_images()
