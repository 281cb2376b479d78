"""Fixtures of the tests of the Python API."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

import shoal
from tests.engines.shoald import Shoald


def _sockets() -> set[str]:
    links = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith("socket:"):
            links.add(target)
    return links


@pytest.fixture(autouse=True)
def no_leaks(shoald: Shoald) -> Iterator[None]:
    """Takes the place of the check around each kernel test: here no connection of the client's may stay open.

    The engine goes on from test to test, and is checked as a whole when it ends.
    """
    shoald.client_close()
    before = _sockets()
    yield
    if _sockets() - before:
        gc.collect()  # what a raised exception still holds
    left = _sockets() - before
    assert not left, f"connections were left open: {left}"


@pytest.fixture
def engine(shoald: Shoald) -> Iterator[shoal.Engine]:
    """The session's shoald, through the API that waits."""
    with shoal.connect(f"unix://{shoald.socket}") as engine:
        yield engine
    shoald.remove_containers()
    shoald.remove_images()
