"""The maker's side of its conversation with the child: barriers, a terminal, warnings, errors."""

from __future__ import annotations

import _socket
import os

from shoal.errors import Internal
from shoal.linux.fd import Fd
from shoal.supervisor.protocol import close_all, encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Conversation:
    """What the child said so far. Owns the channel, and the terminal's master when there is one."""

    __slots__ = ("_warn", "channel", "console")

    def __init__(self, channel: _socket.socket, warn: Callable[[str], None]) -> None:
        self.channel = channel
        self.console: Fd | None = None
        self._warn = warn

    def next_barrier(self) -> str | None:
        """The barrier at which the child waits next; None when execve has succeeded, or the child has died.

        Raises: the error that the child tells of.
        """
        while True:
            message = receive(self.channel)
            if message is None:
                return None
            kind, _, body, fds = message
            if kind == "waiting":
                return str(body["barrier"])
            if kind == "fd" and fds:
                self.console = Fd(fds.pop(0))
            elif kind == "warn":
                self._warn(body["text"])
            elif kind == "error":
                close_all(fds)
                raise error_from_wire(body)
            close_all(fds)

    def go(self, barrier: str) -> None:
        """Lets the child pass. Raises: Internal when it has died."""
        try:
            send_nowait(self.channel, encode("go", 0, {"barrier": barrier}))
        except OSError as error:
            raise Internal("the container's process has died", why=os.strerror(error.errno or 0)) from None

    def close(self) -> None:
        """Ends it."""
        self.channel.close()
        if self.console is not None:
            self.console.close()
