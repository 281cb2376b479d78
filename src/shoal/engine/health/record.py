"""A container's health, and what one more result makes of it. Pure.

    starting ──a probe succeeds──▶ healthy ◀──a probe succeeds── unhealthy
        └──── `retries` failures behind each other ────▶ unhealthy ◀──┘ the same

Within the start period failures do not count, until a probe has succeeded.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.api.container import Health, HealthcheckResult
from shoal.api.timestamps import format_rfc3339
from shoal.engine.health.check import HealthCheck

HealthStatus = Literal["starting", "healthy", "unhealthy"]
NO_HEALTH_CHECK = "none"
_KEPT_RESULTS = 5


class ProbeResult(msgspec.Struct, frozen=True):
    """One run of a check: 0 is success, and -1 a probe that could not be started or took too long."""

    started_ns: int
    ended_ns: int
    exit_code: int
    output: str


class HealthRecord(msgspec.Struct, kw_only=True):
    """What is kept of a container's health: `was_healthy` is of the present run, the results of earlier ones too."""

    status: HealthStatus = "starting"
    failing_streak: int = 0
    was_healthy: bool = False
    results: list[ProbeResult] = []

    def begin(self) -> None:
        """The container was started."""
        self.status, self.failing_streak, self.was_healthy = "starting", 0, False

    def cease(self) -> None:
        """Nobody looks any more, because it was stopped or paused: Docker calls that unhealthy."""
        self.status = "unhealthy"

    def note(self, result: ProbeResult, check: HealthCheck, started_at_ns: int) -> bool:
        """Takes in a result of a container that was started at `started_at_ns`; whether the status is another now."""
        before = self.status
        self.results = [*self.results, result][-_KEPT_RESULTS:]
        if result.exit_code == 0:
            self.status, self.failing_streak, self.was_healthy = "healthy", 0, True
        elif before != "starting" or result.started_ns - started_at_ns >= check.start_period_ns:
            self.failing_streak += 1
            if self.failing_streak >= check.retries:
                self.status = "unhealthy"
        return self.status != before

    def view(self) -> Health:
        """The health as inspections show it."""
        return Health(
            status=self.status,
            failing_streak=self.failing_streak,
            log=[
                HealthcheckResult(
                    start=format_rfc3339(result.started_ns),
                    end=format_rfc3339(result.ended_ns),
                    exit_code=result.exit_code,
                    output=result.output,
                )
                for result in self.results
            ],
        )
