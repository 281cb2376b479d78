"""The life of a container."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.engine.container.states import RUNNING, TRANSITIONS, Status, Transition, next_status
from shoal.errors import Internal


def test_next_status_known_transition_moves() -> None:
    """A created container runs once it is started."""
    assert next_status("created", "start") == "running"


def test_next_status_unknown_transition_is_refused() -> None:
    """A container that runs cannot be removed: the caller must end it first."""
    with pytest.raises(Internal) as caught:
        next_status("running", "remove")
    assert caught.value.what == "a container that is running cannot remove"


def test_transitions_every_status_can_be_left_and_reached() -> None:
    """No state is a trap, and none is out of reach."""
    statuses = set(get_args(Status))
    assert {status for status, _ in TRANSITIONS} == statuses
    assert set(TRANSITIONS.values()) | {"created"} == statuses


@given(st.lists(st.sampled_from(get_args(Transition))))
def test_transitions_any_history_keeps_a_process_only_where_one_may_be(steps: list[Transition]) -> None:
    """Whatever happens in whatever order, `removing` and `dead` come only after the process has ended."""
    status: Status = "created"
    for step in steps:
        after = TRANSITIONS.get((status, step), status)
        if after in ("removing", "dead"):
            assert status not in RUNNING
        status = after
