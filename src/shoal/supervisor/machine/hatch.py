"""The monitor's door for others on the host: a SEQPACKET socket without a path, in the machine's network namespace.

    the child of an exec (client.py), shoald                monitor
       │ exec {launch body} + its three descriptors ─────────▶│ ──▶ guest
       │ ◀─────────────────────────────── reply | error ──────│
       │ signal {signal}, resize {rows, cols} ───────────────▶│ ──▶ guest
       │ ◀─────────────────────────────── exited {code, …} ───│ ◀── guest
       │ processes {columns} ────────────────────────────────▶│ ──▶ guest; reply

Only root may come in. A client that goes away takes its process in the guest with it.
"""

from __future__ import annotations

import _socket
import signal
import struct

from shoal.errors import InvalidArgument
from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import PEER_CLOSED, READABLE
from shoal.supervisor.machine.places import HATCH
from shoal.supervisor.protocol import close_all, encode, receive, send_nowait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.loop import Loop
    from shoal.supervisor.machine.monitor import Monitor
    from shoal.supervisor.protocol import Body

_FIRST_CHANNEL = 2


class Hatch:
    """Listens, and serves who comes."""

    __slots__ = ("_clients", "_listener", "_loop", "_monitor", "_next_channel")

    def __init__(self, loop: Loop, monitor: Monitor) -> None:
        self._loop = loop
        self._monitor = monitor
        self._clients: dict[str, Client] = {}
        self._next_channel = _FIRST_CHANNEL
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self._listener.bind(HATCH)
        self._listener.listen(16)
        self._listener.setblocking(False)
        loop.watch(self._listener.fileno(), READABLE, self._accept)

    def exited(self, body: Body) -> None:
        """A further process in the guest has ended."""
        client = self._clients.pop(body["exec_id"], None)
        if client is not None:
            client.exited(body)

    def channel(self) -> int:
        """A number for a stream."""
        self._next_channel += 1
        return self._next_channel

    def add(self, client: Client) -> None:
        """The client has a process."""
        self._clients[client.exec_id] = client

    def _accept(self, _events: int) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        peer = _socket.socket(fileno=fd)
        _, uid, _ = struct.unpack("3i", peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if uid != 0:
            peer.close()
            return
        Client(self._loop, peer, self, self._monitor)


class Client:
    """One who came in, and its process in the guest, if it has one."""

    __slots__ = ("_exit", "_hatch", "_loop", "_monitor", "_peer", "_streaming", "exec_id")

    def __init__(self, loop: Loop, peer: _socket.socket, hatch: Hatch, monitor: Monitor) -> None:
        self._loop = loop
        self._peer = peer
        self._hatch = hatch
        self._monitor = monitor
        self._exit: Body | None = None
        self._streaming = False
        self.exec_id = ""
        loop.watch(peer.fileno(), READABLE | PEER_CLOSED, self._readable)

    def exited(self, body: Body) -> None:
        """Its process has ended."""
        self._exit = body
        self._tell_when_drained()

    def _readable(self, _events: int) -> None:
        try:
            message = receive(self._peer, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            message = None
        if message is None:
            self._gone()
            return
        kind, request_id, body, fds = message
        try:
            self._serve(kind, request_id, body, fds)
        except Exception as error:  # noqa: BLE001  the edge of this process: who asked must hear of it
            self._send("error", request_id, describe_error(error, kind))
        finally:
            close_all(fds)

    def _serve(self, kind: str, request_id: int, body: Body, fds: list[int]) -> None:
        if kind == "exec":
            self._exec(request_id, body, fds)
        elif kind in ("signal", "resize", "processes"):
            body = {"id": self._monitor.container, "exec_id": self.exec_id or None, **body}
            self._pass_on(kind, request_id, body)
        else:
            raise InvalidArgument(f"unknown request {kind!r}")

    def _exec(self, request_id: int, body: Body, fds: list[int]) -> None:
        self.exec_id = body["exec_id"]
        self._hatch.add(self)
        if body["attach"]:
            body["attach"][0]["fd"] = channel = self._hatch.channel()
            self._streaming = True
            self._monitor.open_streams(channel, (fds[0], fds[1], fds[2]), body, self._streams_over)
        self._pass_on("exec", request_id, body)

    def _pass_on(self, kind: str, request_id: int, body: Body) -> None:
        def answered(answer: Body, error: Body | None) -> None:
            self._send("reply" if error is None else "error", request_id, answer if error is None else error)

        self._monitor.ask(kind, body, answered)

    def _streams_over(self) -> None:
        self._streaming = False
        self._tell_when_drained()

    def _tell_when_drained(self) -> None:
        if self._exit is not None and not self._streaming:
            self._send("exited", 0, self._exit)

    def _send(self, kind: str, request_id: int, body: Body) -> None:
        if self._peer.fileno() < 0:
            return
        try:
            send_nowait(self._peer, encode(kind, request_id, body))
        except OSError:
            pass  # it has gone, and the loop tells

    def _gone(self) -> None:
        self._loop.unwatch(self._peer.fileno())
        self._peer.close()
        if self.exec_id and self._exit is None:
            body = {"id": self._monitor.container, "exec_id": self.exec_id, "signal": int(signal.SIGKILL)}
            self._monitor.ask("signal", body, lambda _body, _error: None)
