"""The ends of a container's runs on the wire: an addition of shoal's, GET /containers/ID/exits and `State.Ended`."""

from __future__ import annotations

from msgspec import field

from shoal.api.wire import Wire


class ExitAsk(Wire, kw_only=True, omit_defaults=True):
    """Who asked for the end: `by` is an operation of the API (stop, kill, restart, remove), "daemon" or "unhealthy".

    `killed`: it had not ended after `timeout_seconds`, and SIGKILL followed.
    """

    by: str
    signal: str
    at: str
    timeout_seconds: int | None = None
    killed: bool = False


class ExitOOM(Wire, kw_only=True, omit_defaults=True):
    """How memory ran out: `scope` is whose limit was hit (container, above, machine, unknown); sizes in bytes.

    `memory` is what the container had, `victim_memory` what its last victim had: anon, file, kernel, shmem, swap.
    """

    kills: int
    scope: str
    limit: int = 0
    usage: int = 0
    victim: str = ""
    victim_pid: int = 0
    victim_memory: dict[str, int] = {}
    memory: dict[str, int] = {}


class ExitHealth(Wire, kw_only=True):
    """The health check of a container that was ended for it."""

    failing_streak: int
    output: str


class ContainerExit(Wire, kw_only=True, omit_defaults=True):
    """The end of one run: `cause` is a word for programs, `sentence` and `hint` are for people."""

    cause: str
    sentence: str
    hint: str = ""
    started_at: str
    finished_at: str
    exit_code: int | None
    signal: str = ""
    asked: ExitAsk | None = None
    oom: ExitOOM | None = field(default=None, name="OOM")
    health: ExitHealth | None = None
    error: str = ""


class ContainerExits(Wire, kw_only=True):
    """What ended the last runs of a container, the latest first, and how it is now."""

    id: str
    name: str
    status: str
    started_at: str
    exits: list[ContainerExit]
