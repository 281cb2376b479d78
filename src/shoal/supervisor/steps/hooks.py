"""The step that runs what the container's owner wants run inside of it."""

from __future__ import annotations

import os

from shoal.supervisor.hooks import Hook, run_hook
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class RunHooks(Step):
    """Runs hooks in the container's namespaces; `state` is the container's as JSON, but for its pid.

    The pid is the one that the hook sees, so it is filled in here, in the place of `PID`.
    """

    PID = "@PID@"
    name = "hooks"
    __slots__ = ("hooks", "kind", "state")

    def __init__(self, kind: str, hooks: list[tuple[str, list[str], list[str], int | None]], state: str) -> None:
        self.kind = kind
        self.hooks = hooks
        self.state = state

    def describe(self) -> str:
        return f"{self.kind}: {', '.join(path for path, *_ in self.hooks)}"

    def run(self, ctx: Context) -> None:
        state = self.state.replace(self.PID, str(os.getpid())).encode()
        for number, (path, args, env, timeout_s) in enumerate(self.hooks):
            run_hook(self.kind, number, Hook(path, args, env, timeout_s), state)
