"""The ends of runs as clients see them. Pure."""

from __future__ import annotations

from shoal.api.exits import ContainerExit, ContainerExits, ExitAsk, ExitHealth, ExitOOM
from shoal.api.timestamps import NEVER, format_rfc3339
from shoal.engine.container.exits import Ask, ExitRecord, HealthNote, OomRecord
from shoal.engine.container.exits_past import PastContainer
from shoal.engine.container.exits_words import hint, sentence, signal_name
from shoal.engine.container.record import ContainerRecord


def exits_view(record: ContainerRecord) -> ContainerExits:
    """The answer of GET /containers/ID/exits."""
    started_ns = record.state.started_at_ns
    return ContainerExits(
        id=record.id,
        name=f"/{record.name}",
        status=record.state.status,
        started_at=format_rfc3339(started_ns) if started_ns else NEVER,
        exits=[exit_view(end, record.name) for end in reversed(record.exits)],
    )


def past_view(past: PastContainer) -> ContainerExits:
    """The answer for a container that is gone."""
    exits = [exit_view(end, past.name) for end in reversed(past.exits)]
    return ContainerExits(
        id=past.id, name=f"/{past.name}", status="removed", started_at=exits[0].started_at, exits=exits
    )


def last_exit_view(record: ContainerRecord) -> ContainerExit | None:
    """What ended the last run of a container that does not run now; None where it runs, or never did."""
    return exit_view(record.exits[-1], record.name) if record.exits and not record.is_running else None


def exit_view(end: ExitRecord, name: str) -> ContainerExit:
    """One end; `name` is the container's, for the hint."""
    return ContainerExit(
        cause=end.cause,
        sentence=sentence(end),
        hint=hint(end, name),
        started_at=format_rfc3339(end.started_ns),
        finished_at=format_rfc3339(end.ended_ns),
        exit_code=end.code,
        signal=signal_name(end.signal) if end.signal else "",
        asked=_ask(end.ask) if end.ask else None,
        oom=_oom(end.oom) if end.oom else None,
        health=_health(end.health) if end.health else None,
        error=end.why,
    )


def _ask(ask: Ask) -> ExitAsk:
    return ExitAsk(
        by=ask.by,
        signal=signal_name(ask.signal),
        at=format_rfc3339(ask.at_ns),
        timeout_seconds=ask.timeout_s,
        killed=ask.killed,
    )


def _oom(oom: OomRecord) -> ExitOOM:
    return ExitOOM(
        kills=oom.kills,
        scope=oom.scope,
        limit=oom.limit,
        usage=oom.usage,
        victim=oom.victim,
        victim_pid=oom.pid,
        victim_memory=oom.victim_memory,
        memory=oom.memory,
    )


def _health(health: HealthNote) -> ExitHealth:
    return ExitHealth(failing_streak=health.failing_streak, output=health.output)
