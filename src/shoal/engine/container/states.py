"""The life of a container as a table: which states there are and what leads from one to another.

    created ──start──▶ running ──exit──▶ exited ──start──▶ running …
                        │  ▲ │              ▲ │
                     pause │ │        give_up │ remove
                        │  │ exit_for_now   │ ▼
                        ▼  │ └──▶ restarting  removing ──▶ (gone)
                      paused           └──start──▶ running …
    removing ──remove_failed──▶ dead

The names are Docker's (Docker API v1.50, ContainerState.Status). A container that waits for its restart policy is
"restarting": it has no process, but to clients it runs. Pure.
"""

from __future__ import annotations

from typing import Literal

from shoal.errors import Internal

Status = Literal["created", "running", "paused", "restarting", "exited", "removing", "dead"]
Transition = Literal["start", "fail", "exit", "exit_for_now", "give_up", "pause", "unpause", "remove", "remove_failed"]

TRANSITIONS: dict[tuple[Status, Transition], Status] = {
    ("created", "start"): "running",
    ("created", "fail"): "created",
    ("created", "remove"): "removing",
    ("exited", "start"): "running",
    ("exited", "fail"): "exited",
    ("exited", "remove"): "removing",
    ("running", "exit"): "exited",
    ("running", "exit_for_now"): "restarting",
    ("running", "pause"): "paused",
    ("paused", "unpause"): "running",
    ("paused", "exit"): "exited",
    ("paused", "exit_for_now"): "restarting",
    ("restarting", "start"): "running",
    ("restarting", "fail"): "exited",
    ("restarting", "give_up"): "exited",
    ("removing", "remove_failed"): "dead",
    ("removing", "remove"): "removing",
    ("dead", "remove"): "removing",
}

RUNNING: frozenset[Status] = frozenset({"running", "paused"})  # there is a process
ACTIVE: frozenset[Status] = RUNNING | {"restarting"}  # there is one, or will be without anybody's doing


def next_status(status: Status, transition: Transition) -> Status:
    """The status that `transition` leads to from `status`.

    Raises: Internal when the table has no such transition: a bug in the caller.
    """
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        raise Internal(f"a container that is {status} cannot {transition}") from None
