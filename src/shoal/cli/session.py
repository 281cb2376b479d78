"""Carries bytes between the user's streams and a hijacked one, with signals in between: attach, run, exec, start -a.

    stdin ──(detach keys)──▶ engine          half-close at the end of stdin
    stdout, stderr ◀──(stdcopy)── engine     the session ends with this stream
    signals ──▶ on_signal                    SIGWINCH ──▶ on_resize

One loop on poll(2). It never reads stdin while the engine takes no more, and never waits for the engine to take bytes
while there is output to show: so neither side can block the other (`yes | shoal run -i IMG cat`).
"""

from __future__ import annotations

import os
import select

from shoal.api import stdcopy
from shoal.cli.detaching import DetachKeys
from shoal.cli.terminal import SIGWINCH, SignalInbox
from shoal.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from shoal.client.http import Hijacked

_READ_SIZE = 32768
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class Streams:
    """The user's side. `stdin` None sends nothing (and does not half-close)."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, stdin: int | None, stdout: BinaryIO | None, stderr: BinaryIO | None) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


class Reactions:
    """What to do about signals."""

    __slots__ = ("on_resize", "on_signal")

    def __init__(self, on_signal: Callable[[int], None], on_resize: Callable[[], None]) -> None:
        self.on_signal = on_signal
        self.on_resize = on_resize


class Session:
    """One run of the loop. `multiplexed`: the engine frames its output; a terminal's is raw."""

    def __init__(
        self,
        hijacked: Hijacked,
        streams: Streams,
        inbox: SignalInbox,
        reactions: Reactions,
        *,
        multiplexed: bool,
        detach_keys: bytes = b"",
    ) -> None:
        self._hijacked = hijacked
        self._streams = streams
        self._inbox = inbox
        self._reactions = reactions
        self._decoder = stdcopy.StdcopyDecoder() if multiplexed else None
        self._keys = DetachKeys(detach_keys)
        self._unsent = b""
        self._stdin_open = streams.stdin is not None

    def run(self) -> bool:
        """Whether the user detached; False when the engine ended the stream.

        Raises: Internal for the engine's own error in the stream, OSError when the user's output is gone.
        """
        if self._hijacked.early:
            self._show(self._hijacked.receive())
        engine, inbox = self._hijacked.connection.fileno(), self._inbox.fileno()
        while not self._keys.detached:
            poll = select.poll()
            poll.register(inbox, select.POLLIN)
            poll.register(engine, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            if self._stdin_open and not self._unsent:
                assert self._streams.stdin is not None
                poll.register(self._streams.stdin, select.POLLIN)
            ready = dict(poll.poll())
            if inbox in ready:
                self._react()
            if ready.get(engine, 0) & _READABLE and not self._receive():
                return False
            if ready.get(engine, 0) & select.POLLOUT and self._unsent:
                self._send()
            if self._streams.stdin in ready and self._streams.stdin is not None:
                self._type(self._streams.stdin)
        return True

    def _react(self) -> None:
        for number in self._inbox.take_nowait():
            if number == SIGWINCH:
                self._reactions.on_resize()
            else:
                self._reactions.on_signal(number)

    def _receive(self) -> bool:
        """Whether the engine's stream goes on."""
        try:
            data = self._hijacked.receive()
        except ConnectionResetError:
            return False
        if data:
            self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        if self._decoder is None:
            _write(self._streams.stdout, data)
            return
        for stream, payload in self._decoder.feed(data):
            if stream == stdcopy.SYSTEM_ERROR:
                raise Internal(f"error from daemon in stream: {payload.decode('utf-8', 'replace')}")
            _write(self._streams.stderr if stream == stdcopy.STDERR else self._streams.stdout, payload)

    def _type(self, stdin: int) -> None:
        try:
            typed = os.read(stdin, _READ_SIZE)
        except OSError:
            typed = b""  # EIO: the terminal hung up, which is the end of the input
        self._stdin_open = bool(typed)
        self._unsent = self._keys.feed(typed)
        self._send()

    def _send(self) -> None:
        try:
            if self._unsent:
                self._unsent = self._unsent[self._hijacked.connection.send_nowait(self._unsent) :]
            if not self._stdin_open and not self._unsent:
                self._hijacked.connection.close_write()
        except (BrokenPipeError, ConnectionResetError):
            # The program has closed its input; its output may still come.
            self._unsent, self._stdin_open = b"", False


def _write(output: BinaryIO | None, data: bytes) -> None:
    if output is not None:
        output.write(data)
        output.flush()
