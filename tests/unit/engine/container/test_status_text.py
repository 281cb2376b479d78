"""The STATUS column of `docker ps`."""

from __future__ import annotations

import pytest

from shoal.engine.container.record import StateRecord
from shoal.engine.container.status_text import status_text
from shoal.engine.health.record import HealthRecord, HealthStatus

_S = 1_000_000_000


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (StateRecord(), "Created"),
        (StateRecord(exit_code=127), "Created"),
        (StateRecord(status="running", started_at_ns=95 * _S), "Up 5 seconds"),
        (StateRecord(status="paused", started_at_ns=40 * _S), "Up About a minute (Paused)"),
        (
            StateRecord(status="restarting", started_at_ns=1, finished_at_ns=99 * _S, exit_code=3),
            "Restarting (3) 1 second ago",
        ),
        (StateRecord(status="exited", started_at_ns=1, finished_at_ns=100 * _S), "Exited (0) Less than a second ago"),
        (
            StateRecord(status="exited", started_at_ns=1, finished_at_ns=90 * _S, exit_known=False),
            "Exited (unknown) 10 seconds ago",
        ),
        (StateRecord(status="removing", started_at_ns=1), "Removal In Progress"),
        (StateRecord(status="dead", started_at_ns=1), "Dead"),
    ],
)
def test_status_text_each_state_has_dockers_words(state: StateRecord, text: str) -> None:
    """Every state reads as it does with Docker, whose words scripts look for."""
    assert status_text(state, 100 * _S) == text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("starting", "Up 2 seconds (health: starting)"),
        ("healthy", "Up 2 seconds (healthy)"),
        ("unhealthy", "Up 2 seconds (unhealthy)"),
    ],
)
def test_status_text_of_a_running_container_has_its_health(status: HealthStatus, text: str) -> None:
    """Behind the time, in Docker's words; a paused or stopped one shows none."""
    health = HealthRecord(status=status)
    assert status_text(StateRecord(status="running", started_at_ns=98 * _S), 100 * _S, health) == text
    paused = StateRecord(status="paused", started_at_ns=98 * _S)
    assert status_text(paused, 100 * _S, health) == "Up 2 seconds (Paused)"
