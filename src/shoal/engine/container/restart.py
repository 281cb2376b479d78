"""Whether and when a container that ended is started again. Pure.

Docker's rule: 100 ms first, doubled each time up to a minute, and back to 100 ms once a run has lasted ten seconds.
"""

from __future__ import annotations

from shoal.api.host_config import RestartPolicy
from shoal.errors import InvalidArgument

_FIRST_S = 0.1
_LONGEST_S = 60.0
_GOOD_RUN_S = 10.0
_NAMES = ("", "no", "always", "on-failure", "unless-stopped")


def check_policy(policy: RestartPolicy, *, auto_remove: bool) -> None:
    """Raises: InvalidArgument in Docker's words for a policy that makes no sense."""
    if policy.name not in _NAMES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', or"
            " 'unless-stopped'"
        )
    if policy.name != "on-failure" and policy.maximum_retry_count != 0:
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if auto_remove and policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def should_restart(policy: RestartPolicy, *, exit_code: int, stopped_by_user: bool, restart_count: int) -> bool:
    """Whether the policy wants the ended container back."""
    if stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    limit = policy.maximum_retry_count
    return policy.name == "on-failure" and exit_code != 0 and (limit == 0 or restart_count < limit)


def wants_start_at_boot(policy: RestartPolicy, *, stopped_by_user: bool) -> bool:
    """Whether a container that was running when the machine went down is started when shoald comes up."""
    return policy.name == "always" or (policy.name == "unless-stopped" and not stopped_by_user)


def next_delay_s(last_delay_s: float | None, ran_s: float) -> float:
    """How long to wait before the next start; `last_delay_s` is None the first time."""
    if last_delay_s is None or ran_s >= _GOOD_RUN_S:
        return _FIRST_S
    return min(last_delay_s * 2, _LONGEST_S)
