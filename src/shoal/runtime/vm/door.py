"""shoald's way to a machine that runs: through the hatch of its monitor (supervisor/machine/hatch.py). For threads."""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING

from shoal.errors import Conflict
from shoal.linux.namespaces import CLONE_NEWNET, namespace_fd, setns
from shoal.supervisor.machine.places import HATCH
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

if TYPE_CHECKING:
    from shoal.supervisor.protocol import Body

_TIMEOUT_S = 20.0


def ask_machine(pid: int, kind: str, body: Body) -> Body:
    """The guest's answer; `pid` is the monitor's. Blocks.

    Raises: Conflict when it has ended; the guest's ShoalError.
    """
    with namespace_fd(pid, "net") as there, namespace_fd("self", "net") as home:
        setns(there, CLONE_NEWNET)
        try:
            door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        finally:
            setns(home, CLONE_NEWNET)
    try:
        door.settimeout(_TIMEOUT_S)
        # A socket stays in the namespace that it was made in.
        door.connect(HATCH)
        send_nowait(door, encode(kind, 1, body))
        message = receive(door)
    except OSError as error:
        raise Conflict("the virtual machine does not answer", why=error.strerror or str(error)) from None
    finally:
        door.close()
    if message is None:
        raise Conflict("the virtual machine has ended")
    if message[0] == "error":
        raise error_from_wire(message[2])
    return message[2]
