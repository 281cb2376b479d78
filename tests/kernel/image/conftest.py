"""Mounts for the store's tests show in a namespace of their own only; each test is checked for leaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.linux.mounts import MS_PRIVATE, MS_REC, mount
from shoal.linux.namespaces import CLONE_NEWNS, unshare
from tests.engines.bad_registry import BadRegistry
from tests.kernel.image.forked import run_forked
from tests.kernel.image.pulls import BIG, SMALL, Puller, open_store


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


@pytest.fixture
def puller(tmp_path: Path) -> Iterator[Puller]:
    """An empty store and a registry with one image of two layers."""
    with BadRegistry() as registry:
        opened = Puller(open_store(tmp_path / "root"), registry, tmp_path / "root/tmp/image")
        registry.image(SMALL, BIG)
        yield opened
        opened.store.close()
