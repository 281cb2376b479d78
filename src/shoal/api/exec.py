"""Exec on the wire: a further process in a running container. Docker API v1.50 `Exec*`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import field

from shoal.api.wire import StringOrList, UInt32, Wire

_MOST_CELLS = 65535  # the kernel's: an unsigned short


def console_size(size: Sequence[int] | None) -> tuple[int, int]:
    """Rows and columns out of a fixed array of Go's: what is missing is 0, what is beyond the kernel's limit is cut."""
    rows, columns = (*(size or ()), 0, 0)[:2]
    return min(rows, _MOST_CELLS), min(columns, _MOST_CELLS)


class ExecConfig(Wire, kw_only=True):
    """The body of POST /containers/ID/exec. `console_size` is height, width; `None` is "as it comes"."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[UInt32] | None = None
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] = []
    working_dir: str = ""
    cmd: StringOrList = []


class ExecStartConfig(Wire, kw_only=True):
    """The body of POST /exec/ID/start; `tty` repeats what the configuration said."""

    detach: bool = False
    tty: bool = False
    console_size: list[UInt32] | None = None


class IDResponse(Wire, kw_only=True):
    """The id of what was created."""

    id: str


class ExecProcessConfig(Wire, kw_only=True, omit_defaults=True, rename=None):
    """The command of an exec, as its inspection shows it."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool | None = None
    user: str = ""


class ExecInspect(Wire, kw_only=True):
    """One exec: `exit_code` is `None` while it runs (and before)."""

    id: str = field(name="ID")
    running: bool
    exit_code: int | None
    process_config: ExecProcessConfig
    open_stdin: bool
    open_stderr: bool
    open_stdout: bool
    can_remove: bool
    container_id: str = field(name="ContainerID")
    detach_keys: str
    pid: int
