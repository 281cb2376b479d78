"""`shoal system dial-stdio`: standard input and output are a connection to the engine.

What `ssh://` addresses run on the other machine, shoal's and Docker's (which calls it by the name `docker`: a link of
that name to `shoal` will do).
"""

from __future__ import annotations

import os
import select

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.client.transport import Connection

_READ_SIZE = 65536
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class Options(Flags):
    """Nothing to choose."""


def configure(parser: Parser) -> None:
    """Adds nothing: `docker system dial-stdio` has no flags."""


def run(_options: Options, context: Context) -> int:
    """Carries bytes both ways until the engine has said its last, or the reader of our output is gone."""
    connection = context.client.transport.connect()
    try:
        _carry(connection, context.stdin.fileno(), context.stdout.fileno())
    except ConnectionResetError:
        return 1
    finally:
        connection.close()
    return 0


def _carry(connection: Connection, source: int, target: int) -> None:
    """An end of the input is handed on as a half-close: what the engine says after it still arrives."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    poll.register(source, select.POLLIN)
    # No bytes are asked of `target`, but its hang-up: without a reader nothing is left to do.
    poll.register(target, 0)
    unsent = b""
    while True:
        ready = dict(poll.poll())
        if ready.get(connection.fileno(), 0) & _READABLE:
            data = connection.receive(_READ_SIZE)
            if not data:
                return
            _write_all(target, data)
        elif ready.get(target, 0) & (select.POLLERR | select.POLLHUP):
            return
        if ready.get(source, 0) & _READABLE and not unsent:
            unsent = os.read(source, _READ_SIZE)
            poll.unregister(source)
            if not unsent:
                connection.close_write()
        if unsent:
            unsent = unsent[connection.send_nowait(unsent) :]
            poll.modify(connection.fileno(), select.POLLIN | (select.POLLOUT if unsent else 0))
            if not unsent:
                poll.register(source, select.POLLIN)


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
