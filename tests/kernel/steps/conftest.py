"""A box: a root file system to make containers of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.steps.container import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A root file system with busybox, below the test's directory."""
    return Box(tmp_path)
