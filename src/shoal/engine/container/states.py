"""The life of a container as a table: which states there are and what leads from one to another.

    created ──start──▶ running ──exit──▶ exited ──start──▶ running …
                        │  ▲                │
                     pause unpause          │ remove
                        ▼  │                ▼
                      paused             removing ──▶ (gone)
    any of them ──fail to remove──▶ dead

The names are Docker's (Docker API v1.50, ContainerState.Status); a container that waits for its restart policy is
"exited" until it is started again. Pure.
"""

from __future__ import annotations

from typing import Literal

from shoal.errors import Internal

Status = Literal["created", "running", "paused", "exited", "removing", "dead"]
Transition = Literal["start", "fail", "exit", "pause", "unpause", "remove", "remove_failed"]

TRANSITIONS: dict[tuple[Status, Transition], Status] = {
    ("created", "start"): "running",
    ("created", "fail"): "created",
    ("created", "remove"): "removing",
    ("exited", "start"): "running",
    ("exited", "fail"): "exited",
    ("exited", "remove"): "removing",
    ("running", "exit"): "exited",
    ("running", "pause"): "paused",
    ("paused", "unpause"): "running",
    ("paused", "exit"): "exited",
    ("removing", "remove_failed"): "dead",
    ("removing", "remove"): "removing",
    ("dead", "remove"): "removing",
}

RUNNING: frozenset[Status] = frozenset({"running", "paused"})


def next_status(status: Status, transition: Transition) -> Status:
    """The status that `transition` leads to from `status`.

    Raises: Internal when the table has no such transition: a bug in the caller.
    """
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        raise Internal(f"a container that is {status} cannot {transition}") from None
