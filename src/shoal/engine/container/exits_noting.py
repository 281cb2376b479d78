"""Makes the record of a container's end out of all that is known of it."""

from __future__ import annotations

from shoal.engine.container.exits import ExitRecord, HealthNote, OomRecord, cause_of, effective_ask
from shoal.engine.container.exits_oom import OomInquiry
from shoal.engine.container.exits_words import signal_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.health.monitor import HealthMonitor
from shoal.runtime.driver import Exit

_SAID_BYTES = 512


class ExitNoter:
    """Tells how runs ended."""

    def __init__(self, inquiry: OomInquiry, health: HealthMonitor) -> None:
        self._inquiry = inquiry
        self._health = health

    async def tell(self, record: ContainerRecord, exit: Exit) -> ExitRecord:
        """The end of the container's present run. The record itself is left as it is."""
        state = record.state
        oom = await self._inquiry.explain(record.id, record.exits) if exit.oom_killed else None
        code = exit.code if exit.known else None
        ask = effective_ask(state.asked, signal=exit.signal, ended_ns=exit.finished_at_ns) if exit.known else None
        cause = cause_of(code=code, signal=exit.signal, ask=ask, oom=oom)
        if cause == "unknown" and not state.pid:
            cause = "reboot"  # the recovery believes no process id of before (boots.py)
        return ExitRecord(
            cause=cause,
            started_ns=state.started_at_ns,
            ended_ns=exit.finished_at_ns,
            code=code,
            signal=exit.signal,
            is_alone=record.host_config.pid_mode == "",
            ask=ask,
            oom=oom,
            health=self._health_of(record) if cause == "unhealthy" else None,
        )

    def _health_of(self, record: ContainerRecord) -> HealthNote | None:
        health = self._health.health(record.id)
        if health is None:
            return None
        said = health.results[-1].output[:_SAID_BYTES] if health.results else ""
        return HealthNote(failing_streak=health.failing_streak, output=said, was_healthy=health.was_healthy)


def exit_attributes(end: ExitRecord) -> dict[str, str]:
    """What the event `die` tells beyond Docker's attributes."""
    attributes: dict[str, str] = {"shoal.cause": end.cause}
    if end.signal:
        attributes["shoal.signal"] = signal_name(end.signal)
    if end.ask is not None:
        attributes["shoal.askedBy"] = end.ask.by
    return attributes


def oom_attributes(oom: OomRecord | None) -> dict[str, str]:
    """What the event `oom` tells beyond Docker's attributes; nothing where the kernel does not tell."""
    if oom is None or not oom.number:
        return {}
    return {
        "shoal.victim": oom.victim,
        "shoal.victimPid": str(oom.pid),
        "shoal.limit": str(oom.limit),
        "shoal.scope": oom.scope,
    }
