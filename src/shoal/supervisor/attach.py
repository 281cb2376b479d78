"""One client of a process's streams: its socket, handed over by shoald; runs in a supervisor.

The client gets output raw or in stdcopy frames, and what it sends goes to the process's stdin. It may close its
sending half and go on listening. One that reads slowly holds the process back once PENDING_LIMIT_BYTES wait for it
(as with Docker, output is never dropped); one that vanished is forgotten.

  open ──end of input──▶ half-closed ──┐
   │ └──── detach keys, process ends ──┴──▶ finishing (flush what waits) ──▶ lingering (wait for its end) ──▶ closed
   └────── hang-up, write error ──────────────────────────────────────────────────────────────────────────────▲
"""

from __future__ import annotations

import _socket
import os
import struct

from shoal.supervisor.detach import DetachScanner
from shoal.supervisor.loop import HANGUP, PEER_CLOSED, READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from shoal.supervisor.loop import Loop, Timer
    from shoal.supervisor.protocol import AttachBody

    class Host(Protocol):
        """What a client needs of the process that it is attached to."""

        def input_from(self, data: bytes) -> bool:
            """Takes input; False asks for a pause until `resume_input`."""

        def input_ended(self) -> None:
            """This client's input has come to its end."""

        def hold(self, client: Client) -> None:
            """Stop reading output: this client has too much waiting."""

        def release(self, client: Client) -> None:
            """This client has caught up, or has gone."""

        def client_detached(self, client: Client) -> None:
            """The client typed the detach keys."""

        def client_gone(self, client: Client) -> None:
            """The client is closed, and is to be forgotten."""


PENDING_LIMIT_BYTES = 1 << 20
CHUNK_BYTES = 64 * 1024
# How long a finished client is waited for: a socket closed with unread input would reset the connection and could
# take the last output with it.
LINGER_S = 2.0

_STREAM_IDS = {"stdout": 1, "stderr": 2}


def frame_header(stream: str, length: int) -> bytes:
    """What goes before data in one stdcopy frame. Source: Docker API, ContainerAttach, "Stream format"."""
    return struct.pack(">B3xI", _STREAM_IDS[stream], length)


class Client:
    """A client and its socket, which it owns from here on."""

    __slots__ = (
        "_fd", "_finishing", "_host", "_input_open", "_interest", "_linger", "_loop", "_mux", "_output_open",
        "_paused", "_pending", "_scanner", "_streams", "_takes_input", "_watched",
    )  # fmt: skip

    def __init__(self, loop: Loop, host: Host, fd: int, options: AttachBody) -> None:
        self._loop = loop
        self._host = host
        self._fd = fd
        self._mux = options["mux"]
        self._streams = {name for name in ("stdout", "stderr") if options[name]}
        self._takes_input = options["stdin"]
        self._scanner = DetachScanner(options["detach_keys"] if options["stdin"] else b"")
        self._pending = bytearray()
        self._interest = 0
        self._watched = False
        self._input_open = True
        self._output_open = True
        self._paused = False
        self._finishing = False
        self._linger: Timer | None = None
        os.set_blocking(fd, False)

    def start(self, early: bytes) -> None:
        """Begins to listen to the client; `early` is input that came before."""
        self._loop.watch(self._fd, 0, self._on_event)
        self._watched = True
        if early:
            self._take(early)
        self._update()

    def send(self, stream: str, data: bytes) -> None:
        """Gives the client output of "stdout" or "stderr", if it wants that stream."""
        if stream not in self._streams or not self._output_open or self._finishing:
            return
        header = frame_header(stream, len(data)) if self._mux else b""
        sent = 0
        if not self._pending:
            sent = self._write_both(header, data)
            if sent == len(header) + len(data):
                return
        if self._output_open:
            self._pending += header[sent:]
            self._pending += data[max(sent - len(header), 0) :]
            self._update()
            if len(self._pending) > PENDING_LIMIT_BYTES:
                self._host.hold(self)

    def resume_input(self) -> None:
        """The process takes input again."""
        if self._paused:
            self._paused = False
            if self._watched:
                self._update()
            else:
                self._read_all()

    def finish(self) -> None:
        """No more output comes: closes the client once it has what waits for it."""
        if self._fd < 0 or self._finishing:
            return
        self._finishing = True
        self._paused = False
        if not self._pending or not self._output_open:
            self._begin_linger()
        else:
            self._update()

    def drop(self) -> None:
        """Gives the socket back without touching the connection, which others may still use."""
        self._close()

    def _on_event(self, events: int) -> None:
        if events & WRITABLE and not events & HANGUP:
            self._flush()
        if self._fd >= 0 and events & (READABLE | PEER_CLOSED) and self._input_open and not self._paused:
            self._read_once()
        if self._fd >= 0 and events & HANGUP:
            self._hung_up()

    def _hung_up(self) -> None:
        """Nobody listens any more. Input that was sent before still counts."""
        self._output_open = False
        self._pending.clear()
        self._host.release(self)
        if self._watched:
            self._loop.unwatch(self._fd)
            self._watched = False
        self._read_all()

    def _read_all(self) -> None:
        while self._fd >= 0 and self._input_open and not self._paused:
            if not self._read_once():
                break
        if self._fd >= 0 and not self._paused:
            if self._input_open:
                self._end_input()
            self._close()

    def _read_once(self) -> bool:
        try:
            data = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._end_input()
        return bool(data)

    def _take(self, data: bytes) -> None:
        if not self._takes_input or self._finishing:
            return
        text, detached = self._scanner.feed(data)
        if text and not self._host.input_from(text):
            self._paused = True
            self._update()
        if detached:
            self._takes_input = False
            self._host.client_detached(self)
            self.finish()

    def _end_input(self) -> None:
        self._input_open = False
        if self._takes_input:
            self._takes_input = False
            held = self._scanner.end()
            if held:
                self._host.input_from(held)
            self._host.input_ended()
        if self._linger is not None:
            self._close()
        else:
            self._update()

    def _flush(self) -> None:
        sent = self._write(self._pending)
        if not self._output_open:
            return
        del self._pending[:sent]
        if len(self._pending) <= PENDING_LIMIT_BYTES // 2:
            self._host.release(self)
        if not self._pending and self._finishing:
            self._begin_linger()
        else:
            self._update()

    def _write_both(self, header: bytes, data: bytes) -> int:
        if not header:
            return self._write(data)
        try:
            return os.writev(self._fd, (header, data))
        except BlockingIOError:
            return 0
        except OSError:
            self._hung_up()
            return 0

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._hung_up()
            return 0

    def _begin_linger(self) -> None:
        if not self._input_open or not self._output_open:
            self._shut_down()
            self._close()
            return
        self._shut_down()
        self._linger = self._loop.call_later(LINGER_S, self._close)
        self._update()

    def _shut_down(self) -> None:
        try:
            sock = _socket.socket(fileno=self._fd)
            try:
                sock.shutdown(_socket.SHUT_WR)
            finally:
                sock.detach()
        except OSError:
            pass  # not connected any more

    def _update(self) -> None:
        if not self._watched:
            return
        interest = 0
        if self._input_open and not self._paused:
            interest |= READABLE | PEER_CLOSED
        if self._pending:
            interest |= WRITABLE
        if interest != self._interest:
            self._interest = interest
            self._loop.modify(self._fd, interest)

    def _close(self) -> None:
        if self._fd < 0:
            return
        if self._linger is not None:
            self._linger.cancel()
        if self._watched:
            self._loop.unwatch(self._fd)
            self._watched = False
        os.close(self._fd)
        self._fd = -1
        self._output_open = self._input_open = False
        self._pending.clear()
        self._host.release(self)
        self._host.client_gone(self)
