"""The resolver of a container in a guest: shoald answers in the monitor's network, the guest asks in its own.

    program ── 127.0.0.11:53 in the guest ── Asker ── line ── Relay ── 127.0.0.11:53 in the monitor's network ── shoald

Questions and answers pass as they are. Only for a container whose networks have names: port 53 is free in others.
"""

from __future__ import annotations

import _socket
import struct

from shoal.supervisor.loop import HANGUP, PEER_CLOSED, READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.machine.mux import Mux

ADDRESS = ("127.0.0.11", 53)
_LENGTH = struct.Struct(">H")
_MOST_BYTES = 65535 + _LENGTH.size
# How long an answer is waited for: longer than any client does.
_PATIENCE_S = 15.0
_MOST_WAITING = 256


class Asker:
    """The guest's end: takes questions by UDP and TCP."""

    __slots__ = ("_line", "_loop", "_serial", "_tcp", "_udp", "_waiting")

    def __init__(self, loop: Loop, line: Mux) -> None:
        self._loop = loop
        self._line = line
        self._serial = 0
        self._waiting: dict[int, Callable[[bytes], None]] = {}
        self._udp = _bound(_socket.SOCK_DGRAM)
        self._tcp = _bound(_socket.SOCK_STREAM)
        self._tcp.listen(8)
        loop.watch(self._udp.fileno(), READABLE, self._datagram)
        loop.watch(self._tcp.fileno(), READABLE, self._accept)

    def answered(self, serial: int, answer: bytes) -> None:
        """The other end has the answer to a question; an empty one is none."""
        give = self._waiting.pop(serial, None)
        if give is not None and answer:
            give(answer)

    def _datagram(self, _events: int) -> None:
        try:
            question, sender = self._udp.recvfrom(_MOST_BYTES)
        except OSError:
            return
        self._ask(question, "udp", lambda answer: _send_to(self._udp, answer, sender))

    def _accept(self, _events: int) -> None:
        try:
            number, _ = self._tcp._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        Conversation(self._loop, _socket.socket(fileno=number), self._ask)

    def _ask(self, question: bytes, transport: str, give: Callable[[bytes], None]) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._serial += 1
        self._waiting[self._serial] = give
        self._line.tell("name_question", self._serial, {"question": question, "transport": transport})


class Conversation:
    """One TCP client of the guest's resolver: questions behind two bytes of length."""

    __slots__ = ("_ask", "_buffer", "_loop", "_sock")

    def __init__(
        self, loop: Loop, sock: _socket.socket, ask: Callable[[bytes, str, Callable[[bytes], None]], None]
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._ask = ask
        self._buffer = b""
        sock.setblocking(False)
        loop.watch(sock.fileno(), READABLE | PEER_CLOSED, self._readable)

    def _readable(self, events: int) -> None:
        try:
            data = b"" if events & HANGUP else self._sock.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            return
        self._buffer += data
        while len(question := _framed(self._buffer)):
            self._buffer = self._buffer[_LENGTH.size + len(question) :]
            self._ask(question, "tcp", self._give)

    def _give(self, answer: bytes) -> None:
        try:
            self._sock.send(_LENGTH.pack(len(answer)) + answer)
        except OSError:
            pass  # it has gone, or takes nothing


class Relay:
    """The monitor's end: puts each question to the resolver in its own network namespace."""

    __slots__ = ("_line", "_loop")

    def __init__(self, loop: Loop, line: Mux) -> None:
        self._loop = loop
        self._line = line

    def ask(self, serial: int, question: bytes, transport: str) -> None:
        """Asks; the answer, or that there is none, goes to the other end."""
        stream = transport == "tcp"
        sock = _socket.socket(
            _socket.AF_INET, (_socket.SOCK_STREAM if stream else _socket.SOCK_DGRAM) | _socket.SOCK_CLOEXEC
        )
        received = bytearray()
        timer = self._loop.call_later(_PATIENCE_S, lambda: over(b""))

        def over(answer: bytes) -> None:
            timer.cancel()
            if sock.fileno() >= 0:
                self._loop.unwatch(sock.fileno())
                sock.close()
                self._line.tell("name_answer", serial, {"answer": answer})

        def readable(_events: int) -> None:
            try:
                data = sock.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            received.extend(data)
            answer = _framed(bytes(received)) if stream else bytes(received)
            if answer or not data:
                over(answer)

        try:
            # Its own loopback: connecting takes no time.
            sock.connect(ADDRESS)
            sock.send(_LENGTH.pack(len(question)) + question if stream else question)
        except OSError:
            timer.cancel()
            sock.close()
            self._line.tell("name_answer", serial, {"answer": b""})
            return
        sock.setblocking(False)
        self._loop.watch(sock.fileno(), READABLE, readable)


def _framed(data: bytes) -> bytes:
    """The first message behind its length, b"" while it is not whole."""
    if len(data) < _LENGTH.size:
        return b""
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    return data[_LENGTH.size : end] if len(data) >= end else b""


def _bound(kind: int) -> _socket.socket:
    sock = _socket.socket(_socket.AF_INET, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    sock.bind(ADDRESS)
    return sock


def _send_to(sock: _socket.socket, answer: bytes, address: object) -> None:
    try:
        sock.sendto(answer, address)  # type: ignore[call-overload]
    except OSError:
        pass  # the program has gone
