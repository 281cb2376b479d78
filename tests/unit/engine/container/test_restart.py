"""Restart policies."""

from __future__ import annotations

import pytest

from shoal.api.host_config import RestartPolicy
from shoal.engine.container.restart import check_policy, next_delay_s, should_restart, wants_start_at_boot
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("policy", "code", "stopped", "count", "expected"),
    [
        (RestartPolicy(name="no"), 1, False, 0, False),
        (RestartPolicy(name="always"), 0, False, 9, True),
        (RestartPolicy(name="always"), 0, True, 0, False),
        (RestartPolicy(name="unless-stopped"), 0, False, 0, True),
        (RestartPolicy(name="on-failure"), 0, False, 0, False),
        (RestartPolicy(name="on-failure"), 3, False, 50, True),
        (RestartPolicy(name="on-failure", maximum_retry_count=2), 3, False, 1, True),
        (RestartPolicy(name="on-failure", maximum_retry_count=2), 3, False, 2, False),
    ],
)
def test_should_restart_follows_dockers_rule(
    policy: RestartPolicy, code: int, stopped: bool, count: int, expected: bool
) -> None:
    """Each policy decides as Docker documents it."""
    assert should_restart(policy, exit_code=code, stopped_by_user=stopped, restart_count=count) is expected


def test_wants_start_at_boot_stopped_by_user_only_always() -> None:
    """After a reboot `always` starts even what a user had stopped, `unless-stopped` does not."""
    assert wants_start_at_boot(RestartPolicy(name="always"), stopped_by_user=True)
    assert not wants_start_at_boot(RestartPolicy(name="unless-stopped"), stopped_by_user=True)


def test_next_delay_failing_runs_doubles_up_to_a_minute() -> None:
    """The wait doubles from 100 ms and stops growing at 60 s."""
    delay: float | None = None
    delays = []
    for _ in range(12):
        delay = next_delay_s(delay, ran_s=0.1)
        delays.append(delay)
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert delays[-1] == 60.0


def test_next_delay_good_run_starts_over() -> None:
    """A run of ten seconds forgives what came before."""
    assert next_delay_s(60.0, ran_s=10.0) == 0.1


@pytest.mark.parametrize(
    ("policy", "auto_remove", "sentence"),
    [
        (RestartPolicy(name="sometimes"), False, "unknown policy 'sometimes'"),
        (RestartPolicy(name="always", maximum_retry_count=1), False, "can only be used with 'on-failure'"),
        (RestartPolicy(name="on-failure", maximum_retry_count=-1), False, "cannot be negative"),
        (RestartPolicy(name="always"), True, "can't create 'AutoRemove' container with restart policy"),
    ],
)
def test_check_policy_senseless_is_refused(policy: RestartPolicy, auto_remove: bool, sentence: str) -> None:
    """A policy that makes no sense is refused in Docker's words."""
    with pytest.raises(InvalidArgument) as caught:
        check_policy(policy, auto_remove=auto_remove)
    assert sentence in caught.value.what
