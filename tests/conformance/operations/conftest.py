"""What the walk through the operations asks, and whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.operations.proofs import Api
from tests.conformance.test_schema import unknown
from tests.engines.engine import Engine
from tests.engines.swagger import Description, description_path


@pytest.fixture(scope="session")
def published() -> Description:
    """The published description, where this machine has it."""
    path = description_path()
    if not path.exists():
        pytest.skip(f"no description of the Docker API at {path}; set SHOAL_REFERENCE to the directory that has it")
    return Description(path)


@pytest.fixture
def api(shoald: Engine, published: Description, request: pytest.FixtureRequest) -> Iterator[Api]:
    """Asks shoald; afterwards the test must have asked for what it says to prove."""
    _clear(shoald)  # other tests of the session leave volumes
    asking = Api(shoald, published, unknown)
    yield asking
    _clear(shoald)
    asking.check(getattr(request.function, "proofs", []))


def _clear(engine: Engine) -> None:
    engine.remove_containers()
    for volume in engine.request("GET", "/volumes").json["Volumes"]:
        engine.request("DELETE", f"/volumes/{volume['Name']}")
