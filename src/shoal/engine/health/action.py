"""What is done about an unhealthy container that asks for it: `--on-unhealthy`, the label `shoal.on-unhealthy`.

restart ─▶ stopped in its own time, then started again whatever its restart policy says, after the same back-off
stop ────▶ stopped, as by `stop`: its restart policy lets it be
kill ────▶ killed, as if it had crashed: its restart policy decides what follows
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from shoal.engine.background import Background
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.stopping import Stopper
from shoal.engine.events import EventLog
from shoal.engine.health.check import HealthCheck
from shoal.engine.health.record import HealthRecord
from shoal.errors import Conflict, InvalidArgument, NotModified

ON_UNHEALTHY_LABEL = "shoal.on-unhealthy"
Action = Literal["restart", "stop", "kill"]

_ACTIONS: dict[str, Action | None] = {"none": None, "restart": "restart", "stop": "stop", "kill": "kill"}
_log = logging.getLogger(__name__)


def wanted_action(labels: Mapping[str, str]) -> Action | None:
    """What the labels of a container ask for; None for nothing, or "none".

    Raises: InvalidArgument for a word that is no action.
    """
    word = labels.get(ON_UNHEALTHY_LABEL, "none")
    if word in _ACTIONS:
        return _ACTIONS[word]
    raise InvalidArgument(
        f'invalid action on unhealthy "{word}"',
        why=f"the label {ON_UNHEALTHY_LABEL} has it",
        fix="use one of restart, stop, kill, none",
    )


def action_warnings(labels: Mapping[str, str], check: HealthCheck | None) -> list[str]:
    """What a client is told of an action that can never be due. Raises: as `wanted_action`."""
    action = wanted_action(labels)
    if action is None or check is not None:
        return []
    return [f"--on-unhealthy {action} has no effect: the container has no health check."]


class UnhealthyActions:
    """Does what containers ask for. One action at a time for each."""

    def __init__(self, stopper: Stopper, events: EventLog, background: Background) -> None:
        self._stopper = stopper
        self._events = events
        self._background = background
        self._acting: set[str] = set()

    def act(self, container: ContainerRecord, health: HealthRecord) -> None:
        """The container was found unhealthy, maybe not for the first time; returns at once."""
        action = wanted_action(container.config.labels)
        if action is None or container.id in self._acting or container.state.stopped_by_user:
            return
        self._acting.add(container.id)
        attributes = {"failingStreak": str(health.failing_streak)}
        self._events.publish(
            "container", f"on_unhealthy: {action}", container.id, {**container.attributes(), **attributes}
        )
        _log.warning("container %s is unhealthy: %s", container.name, action)
        self._background.spawn(self._act(container, action), f"{action} of the unhealthy container {container.name}")

    async def _act(self, container: ContainerRecord, action: Action) -> None:
        try:
            if action == "kill":
                await self._stopper.kill(container, None, by="unhealthy", by_user=False)
            else:
                restarts = action == "restart"
                await self._stopper.stop(container, None, None, by="unhealthy", by_user=not restarts, restarts=restarts)
        except (Conflict, NotModified):
            pass  # it has ended by itself meanwhile
        finally:
            self._acting.discard(container.id)
