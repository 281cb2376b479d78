"""Every operation of the Docker API under requests that schemathesis makes up: no failure, no hang, nothing left."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shoal.server.handlers import HANDLERS
from tests.engines.swagger import description_path
from tests.fuzz.strategies import attempts, operation_id, operations
from tests.fuzz.target import Target

pytestmark = pytest.mark.root


UNDESCRIBED = f"no description of the Docker API at {description_path()}; set SHOAL_REFERENCE to its directory"
OPERATIONS = operations() or [pytest.param(None, id="none", marks=pytest.mark.skip(reason=UNDESCRIBED))]


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)
def test_operation_answers_whatever_it_is_asked(operation: Any, target: Target, request: pytest.FixtureRequest) -> None:
    """A success or a refusal in time; a container that comes to be is started, and ends like any other."""
    target.prepare()
    seen: list[int | None] = []

    examples: int = request.config.getoption("--fuzz-examples")

    @settings(
        max_examples=examples if operation_id(operation) in HANDLERS else max(1, examples // 6),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def attempt_all(data: st.DataObject) -> None:
        attempt = data.draw(attempts(operation, target.exec_id()))
        status = target.send(attempt)
        seen.append(status)
        if operation_id(operation) == "ContainerCreate" and status == 201:
            target.run_newest()

    attempt_all()
    target.check_alive()
    assert seen
