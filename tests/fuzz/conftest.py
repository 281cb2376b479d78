"""How many requests are made up for each operation, and the engine that gets them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.engines.shoald import Shoald
from tests.engines.swagger import description_path
from tests.fuzz.target import Target


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz-examples N`: requests for each operation; the default takes less than a minute in all."""
    parser.addoption("--fuzz-examples", type=int, default=6, help="requests that are made up for each operation")


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """A shoald with one of everything; at its end nothing may be left of it, and it must not have stumbled."""
    if not description_path().exists():
        pytest.skip(f"no description of the Docker API at {description_path()}; set SHOAL_REFERENCE to its directory")
    engine = Shoald()
    with contextlib.closing(engine):
        engine.start()
        engine.import_busybox()
        target = Target(engine)
        target.prepare()
        before = target.holdings()
        yield target
        engine.clear()
        target.check_holdings(before)
        assert "Traceback" not in engine.log, engine.log[engine.log.index("Traceback") - 500 :][:4000]
