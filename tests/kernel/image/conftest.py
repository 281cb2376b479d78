"""Mounts for the store's tests show in a namespace of their own only; each test is checked for leaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.linux.mounts import MS_PRIVATE, MS_REC, mount
from shoal.linux.namespaces import CLONE_NEWNS, unshare
from tests.kernel.image.forked import run_forked


@pytest.fixture
def in_mount_namespace() -> Callable[[Callable[[], None]], None]:
    """Runs a function in a child with a mount namespace of its own."""

    def run(task: Callable[[], None]) -> None:
        def apart() -> None:
            unshare(CLONE_NEWNS)
            mount("", "/", "", MS_REC | MS_PRIVATE)
            task()

        run_forked(apart)

    return run


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path) -> Iterator[None]:
    """After each test this process has no more descriptors, and no mount of the test shows."""
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
