"""The hooks that run outside of a container, and the state that every hook gets."""

from __future__ import annotations

import json

from shoal.errors import ShoalError
from shoal.oci.runtime_spec import Hook, Hooks
from shoal.oci_runtime.records import STOPPED, Record
from shoal.oci_runtime.report import Report
from shoal.supervisor.hooks import Hook as Program
from shoal.supervisor.hooks import run_hook
from shoal.supervisor.steps.hooks import RunHooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run_hooks_outside(kind: str, hooks: tuple[Hook, ...], state: dict[str, Any]) -> None:
    """Runs hooks one after the other in the runtime's namespaces. Raises: Internal at the first that fails."""
    if hooks:
        document = json.dumps(state).encode()
        for number, hook in enumerate(hooks):
            run_hook(kind, number, Program(hook.path, list(hook.args), list(hook.env), hook.timeout), document)


def run_poststop(hooks: Hooks | None, record: Record, report: Report) -> None:
    """Runs all poststop hooks; one that fails is told of and the next is run. OCI runtime-spec §Poststop."""
    if hooks is None or not hooks.poststop:
        return
    document = json.dumps(record.state(STOPPED)).encode()
    for number, hook in enumerate(hooks.poststop):
        try:
            run_hook("poststop", number, Program(hook.path, list(hook.args), list(hook.env), hook.timeout), document)
        except ShoalError as error:
            report.warning(str(error))


def state_template(record: Record, status: str) -> str:
    """The state as JSON for hooks inside the container, which see another pid: it is filled in there."""
    state = {**record.state(status), "pid": RunHooks.PID}
    return json.dumps(state).replace(f'"{RunHooks.PID}"', RunHooks.PID)
