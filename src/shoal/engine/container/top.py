"""The processes of a container (Docker API v1.50 ContainerTop)."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

from shoal.api.top import ContainerTopResponse
from shoal.engine.container.isolation import machine_size
from shoal.engine.container.ps import DEFAULT_ARGUMENTS, check_arguments, check_titles, own_columns, parse_table
from shoal.engine.container.record import ContainerRecord, check_settled
from shoal.engine.events import EventLog
from shoal.errors import Conflict, Internal, InvalidArgument
from shoal.linux.cgroups.layout import Layout
from shoal.linux.process_table import Process, column_titles, read_processes, row
from shoal.runtime.driver import RuntimeDriver

_TIMEOUT_S = 10.0
# A single argument of a program is at most 128 KiB long (execve(2)), a pid with its comma at most 11 bytes.
_MOST_CHOSEN = 10_000


class ProcessLister:
    """Lists the processes of containers. `cgroup_path` gives the path of a container's cgroup."""

    def __init__(
        self,
        cgroups: Layout,
        cgroup_path: Callable[[ContainerRecord], str],
        events: EventLog,
        driver: RuntimeDriver,
    ) -> None:
        self._driver = driver
        self._cgroups = cgroups
        self._cgroup_path = cgroup_path
        self._events = events

    async def list(self, record: ContainerRecord, arguments: str) -> ContainerTopResponse:
        """The columns that the ps arguments ask for, `-ef` where they are empty.

        Raises: Conflict when the container does not run; InvalidArgument; Internal, with what ps said.
        """
        check_arguments(arguments)
        check_settled(record)
        if not record.is_running:
            raise Conflict(f"Container {record.id} is not running")
        words = (arguments or DEFAULT_ARGUMENTS).split(" ")
        if machine_size(record.host_config) is not None:
            # No ps of the host's sees into a guest, and one that is frozen tells nothing.
            if record.state.status == "paused":
                raise Conflict(f"Container {record.id} is paused, unpause the container before top")
            listed = _table(words, await self._driver.machine_processes(record.id))
        else:
            pids = await asyncio.to_thread(self._cgroups.open(self._cgroup_path(record)).pids)
            listed = await asyncio.to_thread(_list, words, pids)
        self._events.publish("container", "top", record.id, record.attributes())
        return listed


def _list(words: Sequence[str], pids: Sequence[int]) -> ContainerTopResponse:
    program = shutil.which("ps")
    if program is None:
        return _table(words, read_processes(pids))
    return parse_table(_run_ps(program, words, pids), frozenset(pids))


def _table(words: Sequence[str], processes: Sequence[Process]) -> ContainerTopResponse:
    """The processes in the columns that ps would show. Raises: Unsupported, InvalidArgument, Internal."""
    columns = own_columns([word for word in words if word])
    titles = column_titles(columns)
    check_titles(titles)
    # Docker's name of the first column of -ef, which ps calls UID though it holds a name.
    shown = ["UID", *titles[1:]] if titles[-1] == "CMD" and titles[0] == "USER" else titles
    return ContainerTopResponse(processes=[row(process, columns) for process in processes], titles=shown)


def _run_ps(program: str, words: Sequence[str], pids: Sequence[int]) -> str:
    """The table that ps prints. Raises: InvalidArgument where ps does not understand; Internal."""
    if 0 < len(pids) <= _MOST_CHOSEN:
        chosen = _ps(program, [*words, f"-q{','.join(map(str, pids))}"])
        if chosen.returncode == 0:
            return chosen.stdout
    chosen = _ps(program, words)  # some options cannot be used together with a choice of pids
    if chosen.returncode != 0:
        raise InvalidArgument(f"ps: {chosen.stderr.partition(chr(10))[0] or f'exit status {chosen.returncode}'}")
    return chosen.stdout


def _ps(program: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # subprocess starts it by vfork(2): shoald itself is not copied.
    try:
        return subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            # The width of the terminal that shoald was started from is no reason to cut lines.
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as cause:
        raise Internal("cannot run ps", why=str(cause)) from cause
