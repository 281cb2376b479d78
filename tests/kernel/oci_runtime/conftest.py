"""`shoal-runtime` with a root below the test's directory, whose containers are gone behind the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """The runtime."""
    made = Runtime(tmp_path)
    yield made
    made.close()


@pytest.fixture
def box(runtime: Runtime) -> Bundle:
    """A bundle with busybox."""
    return runtime.bundle()
