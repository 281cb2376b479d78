"""One more process in a guest, as the host sees it: it asks the machine's monitor, and ends as that process does.

Runs in a supervisor's child, whose three streams the monitor gets copies of.
"""

from __future__ import annotations

import _socket
import os

from shoal.errors import Unavailable
from shoal.linux.namespaces import CLONE_NEWNET, setns
from shoal.linux.prctl import set_name
from shoal.linux.pty import get_winsize, make_raw
from shoal.supervisor.child import let_go
from shoal.supervisor.loop import PEER_CLOSED, READABLE, Loop
from shoal.supervisor.machine.places import HATCH
from shoal.supervisor.machine.signals import catch_signals
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from shoal.supervisor.protocol import Body
    from shoal.supervisor.steps.context import Context

_SIGWINCH = 28
# What a process ends with whose machine has ended under it.
_KILLED = 137


def join_machine(ctx: Context, launch: Body) -> NoReturn:
    """Runs until the process in the guest has ended. Raises: ShoalError while it has not been started."""
    set_name("shoal-exec")
    setns(ctx.joins["process"], CLONE_NEWNET)
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        peer.connect(HATCH)
    except OSError:
        raise Unavailable("the virtual machine has ended") from None
    if launch["terminal"]:
        make_raw(0)
    send_nowait(peer, encode("exec", 1, launch), (0, 1, 2))
    _await_start(peer)
    loop = Loop()
    catch_signals(loop, lambda number: _signal(peer, number, terminal=launch["terminal"]))
    loop.watch(peer.fileno(), READABLE | PEER_CLOSED, lambda _events: _told(peer))
    let_go(ctx.channel)
    ctx.channel.close()
    loop.run()
    os._exit(_KILLED)


def _await_start(peer: _socket.socket) -> None:
    while True:
        message = receive(peer)
        if message is None:
            raise Unavailable("the virtual machine has ended")
        kind, _, body, _ = message
        if kind == "error":
            raise error_from_wire(body)
        if kind == "reply":
            return


def _told(peer: _socket.socket) -> None:
    try:
        message = receive(peer, _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    if message is None:
        os._exit(_KILLED)
    if message[0] == "exited":
        os._exit(message[2]["code"])


def _signal(peer: _socket.socket, number: int, *, terminal: bool) -> None:
    if number == _SIGWINCH and terminal:
        rows, columns = get_winsize(0)
        send_nowait(peer, encode("resize", 2, {"rows": rows, "cols": columns}))
    else:
        send_nowait(peer, encode("signal", 2, {"signal": number}))
