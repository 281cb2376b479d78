"""The engine that all of them share, with a kernel for machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.machines import prepare
from tests.engines.shoald import Shoald


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All these tests need root and the docker command, and wait for guests to boot."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.usefixtures("cli"))
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def engine() -> Iterator[Shoald]:
    """An engine of its own; the end asserts that nothing of it is left, no QEMU, virtiofsd, tap or socket either."""
    engine = Shoald("--ip-forward=false")
    with contextlib.ExitStack() as stack:
        engine.start()
        stack.callback(engine.close)
        prepare(engine)
        engine.import_busybox()
        yield engine


@pytest.fixture
def shoald(engine: Shoald) -> Iterator[Shoald]:
    """The same, without containers, volumes and networks afterwards."""
    yield engine
    engine.clear()
