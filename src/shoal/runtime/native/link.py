"""shoald's end of the connection to one supervisor: requests with answers, and events. Runs on shoald's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shoal.errors import SyscallError, Unavailable
from shoal.linux.fd import Fd
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.wire_errors import error_from_wire

if TYPE_CHECKING:
    import _socket

    from shoal.supervisor.protocol import Body

_MSG_DONTWAIT = 0x40

OnEvent = Callable[[str, "Body"], None]


class Answer:
    """A reply: its body, and its descriptors, which the receiver owns."""

    __slots__ = ("body", "fds")

    def __init__(self, body: Body, fds: list[Fd]) -> None:
        self.body = body
        self.fds = fds


class SupervisorLink:
    """A connected supervisor. `on_event` gets its events, `on_lost` is called once when it has gone."""

    def __init__(self, sock: _socket.socket, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        self._sock = sock
        self._on_event = on_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._serial = 0
        self._waiting: deque[tuple[bytes, list[Fd]]] = deque()
        self._closed = False
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def closed(self) -> bool:
        """Whether the supervisor has gone, or was let go."""
        return self._closed

    def ask(self, kind: str, body: Body, fds: Sequence[int] = ()) -> asyncio.Future[Answer]:
        """Sends a request now, and returns its answer to come. `fds` are copied. Raises: Unavailable."""
        if self._closed:
            raise _gone()
        self._serial += 1
        answer: asyncio.Future[Answer] = self._loop.create_future()
        # An answer that nobody awaits any more (a timeout) must not be reported as an exception never retrieved.
        answer.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._answers[self._serial] = answer
        self._send(encode(kind, self._serial, body), fds)
        return answer

    async def request(self, kind: str, body: Body, fds: Sequence[int] = (), *, timeout_s: float = 30.0) -> Answer:
        """The answer to a request. Raises: the supervisor's ShoalError; Unavailable when it died or takes too long."""
        answer = self.ask(kind, body, fds)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise Unavailable(f"the supervisor does not answer ({kind})", why=f"over {timeout_s:.0f} s") from None

    def close(self) -> None:
        """Lets the supervisor go, without an `on_lost`."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, fds in self._waiting:
            _close(fds)
        self._waiting.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(_gone())
        self._answers.clear()

    def _send(self, payload: bytes, fds: Sequence[int]) -> None:
        if not self._waiting:
            try:
                send_nowait(self._sock, payload, fds)
                return
            except BlockingIOError:
                pass  # its queue is full: it works through it
            except OSError:
                # Not now: whoever asks must get its future first.
                self._loop.call_soon(self._lost)
                return
        self._waiting.append((payload, [_duplicate(fd) for fd in fds]))
        self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        while self._waiting:
            payload, fds = self._waiting[0]
            try:
                send_nowait(self._sock, payload, [fd.fileno() for fd in fds])
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            _close(self._waiting.popleft()[1])
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        while not self._closed:
            try:
                message = receive(self._sock, _MSG_DONTWAIT)
            except BlockingIOError:
                return
            except (OSError, SyscallError):
                message = None
            if message is None:
                self._lost()
                return
            kind, request_id, body, numbers = message
            self._received(kind, request_id, body, [Fd(number) for number in numbers])

    def _received(self, kind: str, request_id: int, body: Body, fds: list[Fd]) -> None:
        if request_id == 0:
            _close(fds)
            self._on_event(kind, body)
            return
        answer = self._answers.pop(request_id, None)
        if answer is None or answer.done():
            _close(fds)
        elif kind == "reply":
            answer.set_result(Answer(body, fds))
        else:
            _close(fds)
            answer.set_exception(error_from_wire(body))

    def _lost(self) -> None:
        if not self._closed:
            self.close()
            self._on_lost()


def _gone() -> Unavailable:
    return Unavailable("the supervisor has gone", why="it was killed, or has crashed")


def _duplicate(number: int) -> Fd:
    with contextlib.ExitStack() as stack:
        borrowed = Fd(number)
        stack.callback(borrowed.detach)
        return borrowed.dup()


def _close(fds: list[Fd]) -> None:
    for fd in fds:
        fd.close()
