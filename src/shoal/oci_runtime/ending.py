"""`kill` and `delete`: signals to a container, and taking it off the machine, whole."""

from __future__ import annotations

import signal
import time

from shoal.errors import Conflict, Internal, InvalidArgument, NotFound, ShoalError, SyscallError
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal
from shoal.oci_runtime.records import CREATED, PAUSED, STOPPED, Place, Record, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups import Cgroup
    from shoal.oci_runtime.arguments import Invocation
    from shoal.oci_runtime.report import Report

# How long a killed process may take to end: one that waits for a disk takes its time.
_PATIENCE_S = 10.0
_PAUSE_S = 0.005
_MOST_SIGNAL = 64


def kill(call: Invocation, report: Report) -> int:
    """Sends a signal (SIGTERM if none is named) to a container's first process, or to all with `--all`."""
    del report
    if len(call.words) > 2:
        raise InvalidArgument('"kill" requires a container id and a signal', why=f"got {len(call.words)} words")
    place = find(call.root, call.id())
    number = signal_number(call.words[1] if len(call.words) > 1 else "SIGTERM")
    record = _known(place)
    status = record.status()
    if call.flags.switch("all"):
        _signal_all(record, number)
    elif status == STOPPED:
        raise Conflict("container not running")
    elif number == signal.SIGKILL and not record.own_pid_namespace:
        # Nothing else ends with the first process.
        _signal_all(record, number)
    else:
        _signal_first(record, number)
    if number == signal.SIGKILL and status == PAUSED:
        # Of cgroup v1 a frozen process does not even die.
        group = record.cgroup()
        if group is not None:
            group.thaw()
    return 0


def delete(call: Invocation, report: Report) -> int:
    """Takes a container that has stopped, or was never started, off the machine; with `--force` any."""
    force = call.flags.switch("force")
    try:
        place = find(call.root, call.only_id())
        place.lock()
    except NotFound:
        if force:
            return 0
        raise
    try:
        record = place.load()
    except ShoalError:
        if not force:
            raise
        record = None
    if record is None:
        place.remove()
        return 0
    status = record.status()
    if status not in (STOPPED, CREATED) and not force:
        raise Conflict(f"cannot delete container {record.id} that is not stopped: {status}")
    destroy(place, record, report)
    return 0


def destroy(place: Place, record: Record, report: Report) -> None:
    """Ends what still runs of a container, removes its cgroup, runs its poststop hooks, and forgets it.

    Raises: Internal when it does not end; SyscallError.
    """
    from shoal.oci_runtime.starting import kept_hooks

    group = record.cgroup()
    if record.is_alive():
        _signal_first(record, signal.SIGKILL)
    if group is not None and group.exists():
        group.kill(signal.SIGKILL)
        if group.is_frozen():
            group.thaw()
    deadline = time.monotonic() + _PATIENCE_S
    while record.is_alive():
        if time.monotonic() > deadline:
            raise Internal(f"container {record.id} does not end", why=f"process {record.pid} is there after SIGKILL")
        time.sleep(_PAUSE_S)  # it may not be our child: only /proc tells
    if group is not None:
        _remove(group, deadline)
    hooks = kept_hooks(place, b'"poststop"')
    if hooks is not None:
        from shoal.oci_runtime.hooks import run_poststop

        run_poststop(hooks, record, report)
    place.remove()


def signal_number(name: str) -> int:
    """The number of a signal: 9, KILL, SIGKILL, RTMIN+1. Raises: InvalidArgument."""
    if name.isascii() and name.isdigit() and 0 < int(name) <= _MOST_SIGNAL:
        return int(name)
    upper = name.upper().removeprefix("SIG")
    base, plus, offset = upper.partition("+")
    found = getattr(signal, f"SIG{base}", None)
    if isinstance(found, int) and base.isalnum() and (not plus or (base == "RTMIN" and offset.isdigit())):
        number = int(found) + (int(offset) if plus else 0)
        if 0 < number <= _MOST_SIGNAL:
            return number
    raise InvalidArgument(f"unknown signal {name!r}", fix="use a name such as SIGTERM, or a number from 1 to 64")


def _known(place: Place) -> Record:
    record = place.load()
    if record is None:
        raise Conflict("container not running", why="it is being created")
    return record


def _signal_first(record: Record, number: int) -> None:
    try:
        with pidfd_open(record.pid) as pidfd:
            # The pid was the container's when the descriptor was made, or the container has ended.
            if record.is_alive():
                pidfd_send_signal(pidfd, number)
    except SyscallError:
        if record.is_alive():
            raise


def _signal_all(record: Record, number: int) -> None:
    group = record.cgroup()
    if group is not None and group.exists():
        group.kill(number)
    elif record.is_alive():
        _signal_first(record, number)


def _remove(group: Cgroup, deadline: float) -> None:
    while True:
        try:
            group.remove()
            return
        except SyscallError:
            # A killed process leaves its group only when it is scheduled once more.
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
