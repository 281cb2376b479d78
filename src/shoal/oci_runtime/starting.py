"""`start`: lets the program of a created container run, and tells of what prevents it."""

from __future__ import annotations

import os
import signal

from shoal.errors import Conflict, Internal, ShoalError
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal
from shoal.oci_runtime.records import RUNNING, STOPPED, Place, Record
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.oci.runtime_spec import Hooks
    from shoal.oci_runtime.arguments import Invocation
    from shoal.oci_runtime.report import Report


def start(call: Invocation, report: Report) -> int:
    """Starts the program of a created container, and runs its poststart hooks."""
    from shoal.oci_runtime.records import find

    place = find(call.root, call.only_id())
    place.lock()
    record = place.load()
    if record is None or not record.ready:
        raise Conflict("cannot start a container that has stopped", why="its creation was not brought to its end")
    _start(place, record, report)
    hooks = kept_hooks(place, b'"poststart"')
    try:
        run_poststart(hooks, record)
    except ShoalError:
        with pidfd_open(record.pid) as pidfd:
            pidfd_send_signal(pidfd, signal.SIGKILL)
        raise
    return 0


def _start(place: Place, record: Record, report: Report) -> None:
    connection = place.connect()
    if connection is None or not record.is_alive():
        status = record.status()
        if status == STOPPED:
            raise Conflict("cannot start a container that has stopped")
        raise Conflict("cannot start an already running container", why="" if status == RUNNING else f"it is {status}")
    try:
        send_nowait(connection, encode("start", 0, {}))
        while (message := receive(connection)) is not None:
            if message[0] == "error":
                raise error_from_wire(message[2])
            if message[0] == "warn":
                report.warning(message[2]["text"])
    except OSError as error:
        raise Internal("the container's process has died", why=os.strerror(error.errno or 0)) from None
    finally:
        connection.close()


def kept_hooks(place: Place, word: bytes) -> Hooks | None:
    """The hooks of a container, read only when its specification holds `word`, their name in JSON."""
    document = place.read("config.json") or b""
    if word not in document:
        return None
    from shoal.oci_runtime.bundle import parse_spec

    return parse_spec(document).hooks


def run_poststart(hooks: Hooks | None, record: Record) -> None:
    """Runs the poststart hooks. Raises: Internal at the first that fails; the container is to be ended then."""
    if hooks is None or not hooks.poststart:
        return
    from shoal.oci_runtime.hooks import run_hooks_outside

    run_hooks_outside("poststart", hooks.poststart, record.state(RUNNING))
