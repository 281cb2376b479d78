"""Messages on their way to another process: a queue in front of a socket that may be slow, or away.

    put ─▶ queue ─▶ socket          connected ──error──▶ away ──RETRY_S──▶ connected …

While the receiver is slow, the queue fills up to its limit. Then the container waits (mode=blocking) or the newest
messages are lost (mode=non-blocking). While it is away, messages are lost above the limit in either mode: a
receiver that is not there must not stop a container. That messages are lost is told once, and how many at the end.
Runs in a supervisor.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import socket
import struct

from shoal.supervisor.companion import Companion
from shoal.supervisor.loop import HANGUP, READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop, Timer
    from shoal.supervisor.protocol import RemoteBody

RETRY_S = 1.0
# Of a receiver by TLS: each try is a process with a tenth of a second's work.
RELAY_RETRY_S = 10.0
# How long an ended container's messages wait for their receiver, as with Docker.
FINISH_S = 10.0
# System calls in one go, and messages in one of them on a stream.
_TURNS, _BATCH = 128, 64
_CHUNK_BYTES = 64 * 1024
_STREAM, _DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
_KINDS = {"udp": _DATAGRAM, "unixgram": _DATAGRAM, "tcp": _STREAM, "tcp+tls": _STREAM, "unix": _STREAM}
# fcntl(2): a journal wants what is too long for a datagram in a sealed memfd.
_F_ADD_SEALS, _SEALS = 1033, 1 | 2 | 4 | 8


class Outlet:
    """The queue and the socket of one container's messages."""

    __slots__ = (
        "_away",
        "_head",
        "_interest",
        "_kind",
        "_loop",
        "_lost",
        "_on_closed",
        "_on_problem",
        "_queue",
        "_remote",
        "_sent_bytes",
        "_socket",
        "_timer",
        "_waiting_bytes",
        "on_room",
    )  # fmt: skip

    def __init__(self, loop: Loop, remote: RemoteBody, on_problem: Callable[[str], None]) -> None:
        self._loop = loop
        self._remote = remote
        self._on_problem = on_problem
        self._kind = _KINDS[remote["protocol"]]
        self._queue: list[bytes] = []
        self._head = 0
        # Of the message at the head, on a stream.
        self._sent_bytes = 0
        self._waiting_bytes = 0
        self._socket: _socket.socket | None = None
        self._interest = -1
        self._away = False
        self._lost = 0
        self._timer: Timer | None = None
        self._on_closed: Callable[[], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self._connect()

    @property
    def is_full(self) -> bool:
        """Whether the container is to wait until `on_room` is called."""
        return self._remote["blocking"] and not self._away and self._waiting_bytes >= self._remote["queue_bytes"]

    def put(self, messages: list[bytes]) -> None:
        """Sends the messages, now or later."""
        was_empty = self._head == len(self._queue)
        # A container that is to wait does so after this: what it has said already is kept.
        limit = None if self._remote["blocking"] and not self._away else self._remote["queue_bytes"]
        for message in messages:
            if limit is not None and self._waiting_bytes + len(message) > limit:
                self._lose(1)
            else:
                self._queue.append(message)
                self._waiting_bytes += len(message)
        if was_empty:
            self._flush()

    def finish(self, on_closed: Callable[[], None]) -> bool:
        """Closes when all is sent, or after FINISH_S; False when that is later: `on_closed` is called then."""
        if self._timer is not None:
            self._timer.cancel()
            self._retry()
        if self._head == len(self._queue) or self._socket is None:
            self.close()
            return True
        self._on_closed = on_closed
        self._timer = self._loop.call_later(FINISH_S, self.close)
        return False

    def close(self) -> None:
        """Closes now; what waits is lost, and told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._disconnect()
        self._lost += len(self._queue) - self._head
        if self._lost:
            self._on_problem(f"log receiver {_name(self._remote)}: {self._lost} messages are lost")
        self._queue, self._head, self._waiting_bytes, self._lost = [], 0, 0, 0
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            on_closed()

    # -- the connection ------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Connects, or begins to: a stream over IP is writable when it is there."""
        family = _family(self._remote)
        sock = _socket.socket(family, self._kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family != socket.AF_UNIX and self._kind == _STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._remote["protocol"] == "tcp+tls":
                sock.close()
                sock = self._relayed()
            else:
                sock.connect(_address(self._remote))
        except BlockingIOError:
            pass  # in progress
        except OSError as error:
            sock.close()
            self._lost_receiver(error)
            return
        self._socket = sock
        self._interest = -1

    def _relayed(self) -> _socket.socket:
        """A connection to a companion that speaks TLS to the receiver. It ends when this end is closed."""
        ours, theirs = _socket.socketpair(socket.AF_UNIX, _STREAM, 0)
        os.set_blocking(ours.fileno(), False)
        remote = self._remote
        arguments = [remote["address"], str(remote["port"]), *remote["tls"]]
        try:
            Companion(self._loop, remote["relay"], arguments, theirs.fileno(), theirs.fileno(), lambda: None)
        finally:
            theirs.close()
        return ours

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._watch(-1)
            self._socket.close()
            self._socket = None

    def _lost_receiver(self, error: OSError) -> None:
        """The receiver is away: tries again later. A message of which a part was sent is sent again."""
        self._disconnect()
        self._sent_bytes = 0
        if not self._away:
            self._away = True
            self._on_problem(f"log receiver {_name(self._remote)}: {os.strerror(error.errno or 0)}")
            self._make_room()
        if self._on_closed is not None:
            self.close()
            return
        is_relayed = self._remote["protocol"] == "tcp+tls"
        self._timer = self._loop.call_later(RELAY_RETRY_S if is_relayed else RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._connect()
        if self._socket is not None:
            self._flush()

    # -- sending -------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._socket is None:
            return
        sock = self._socket
        try:
            for _ in range(_TURNS):
                if self._head == len(self._queue):
                    break
                if self._kind == _DATAGRAM:
                    self._send_message(sock, self._queue[self._head])
                    self._advance(len(self._queue[self._head]))
                else:
                    self._advance(self._write_some(sock.fileno()))
        except BlockingIOError:
            self._watch(WRITABLE)
            self._make_room()
            return
        except OSError as error:
            self._lost_receiver(error)
            return
        if self._head < len(self._queue):
            self._watch(WRITABLE)  # goes on when others have had their turn
        else:
            self._all_sent()

    def _send_message(self, sock: _socket.socket, message: bytes) -> None:
        try:
            sock.send(message, socket.MSG_NOSIGNAL)
        except ConnectionRefusedError:
            if self._remote["protocol"] != "udp":
                raise
            # Of an earlier datagram: nobody listened then. UDP promises nothing, and this one is sent.
            sock.send(message, socket.MSG_NOSIGNAL)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            if self._remote["format"] == "journald":
                _send_in_memfd(sock, message)
            else:
                self._lose(1)

    def _write_some(self, fd: int) -> int:
        first = memoryview(self._queue[self._head])[self._sent_bytes :]
        return os.writev(fd, [first, *self._queue[self._head + 1 : self._head + _BATCH]])

    def _advance(self, sent_bytes: int) -> None:
        """Notes that so many bytes from the head on are sent."""
        self._waiting_bytes -= sent_bytes
        sent_bytes += self._sent_bytes
        while self._head < len(self._queue) and sent_bytes >= len(self._queue[self._head]):
            sent_bytes -= len(self._queue[self._head])
            self._head += 1
        self._sent_bytes = sent_bytes
        if self._head > 1000:
            del self._queue[: self._head]
            self._head = 0

    def _all_sent(self) -> None:
        self._queue, self._head = [], 0
        # A stream is watched for its end; of a datagram socket nothing comes.
        self._watch(READABLE if self._kind == _STREAM else 0)
        if self._away:
            self._away = False
            self._on_problem(f"log receiver {_name(self._remote)} is back")
        self._make_room()
        if self._on_closed is not None:
            self.close()

    def _make_room(self) -> None:
        if self.on_room is not None and not self.is_full:
            self.on_room()

    def _lose(self, count: int) -> None:
        if not self._lost:
            self._on_problem(f"log receiver {_name(self._remote)} does not keep up, messages are lost")
        self._lost += count

    def _watch(self, interest: int) -> None:
        """Watches the socket for `interest`; for nothing at all where that is negative."""
        if self._socket is None or interest == self._interest:
            return
        if interest < 0:
            self._loop.unwatch(self._socket.fileno())
        elif self._interest < 0:
            self._loop.watch(self._socket.fileno(), interest, self._on_event)
        else:
            self._loop.modify(self._socket.fileno(), interest)
        self._interest = interest

    def _on_event(self, events: int) -> None:
        if self._socket is None:
            return
        if events & (HANGUP | READABLE):
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if self._kind == _DATAGRAM and code in (0, errno.ECONNREFUSED):
                self._flush()
                return
            if code or events & HANGUP or _is_at_end(self._socket):
                self._lost_receiver(OSError(code or errno.EPIPE, ""))
                return
        if events & WRITABLE:
            self._flush()


def _is_at_end(sock: _socket.socket) -> bool:
    """Whether the receiver has closed; what it says is of no interest."""
    try:
        return not sock.recv(_CHUNK_BYTES)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _send_in_memfd(sock: _socket.socket, message: bytes) -> None:
    """Sends a message that is too long for a datagram, as systemd's native protocol has it."""
    fd = os.memfd_create("shoal-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(message)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
        sock.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", fd))], socket.MSG_NOSIGNAL)
    finally:
        os.close(fd)


def _family(remote: RemoteBody) -> int:
    if remote["protocol"] in ("unix", "unixgram"):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in remote["address"] else socket.AF_INET


def _address(remote: RemoteBody) -> str | tuple[str, int]:
    return remote["address"] if _family(remote) == socket.AF_UNIX else (remote["address"], remote["port"])


def _name(remote: RemoteBody) -> str:
    port = f":{remote['port']}" if remote["port"] else ""
    return f"{remote['protocol']}://{remote['address']}{port}"
