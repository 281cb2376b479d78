"""What the STATUS column of `docker ps` says. Pure."""

from __future__ import annotations

from shoal.engine.container.record import StateRecord
from shoal.engine.health.record import HealthRecord

_NS = 1_000_000_000


def human_duration(seconds: float) -> str:
    """A rough duration in Docker's words: `3 minutes`, `About an hour`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def status_text(state: StateRecord, now_ns: int, health: HealthRecord | None = None) -> str:
    """One line about the state, such as `Up 5 seconds (healthy)` or `Exited (137) 2 hours ago`."""
    up = human_duration((now_ns - state.started_at_ns) / _NS)
    ago = human_duration((now_ns - state.finished_at_ns) / _NS)
    if state.status == "running":
        return f"Up {up}{_health(health)}"
    if state.status == "paused":
        return f"Up {up} (Paused)"
    if state.status == "restarting":
        return f"Restarting ({_code(state)}) {ago} ago"
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if state.started_at_ns == 0:
        return "Created"
    return f"Exited ({_code(state)}) {ago} ago"


def _health(health: HealthRecord | None) -> str:
    if health is None:
        return ""
    return " (health: starting)" if health.status == "starting" else f" ({health.status})"


def _code(state: StateRecord) -> str:
    return str(state.exit_code) if state.exit_known else "unknown"
