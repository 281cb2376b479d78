"""The one loop of a supervisor: descriptors by epoll, and timers. Single-threaded, nothing in it blocks.

A handler that raises does not end the supervisor, which owns other people's containers: the error is given to
`on_error` and the loop goes on.
"""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[int], None]
    Callback = Callable[[], None]

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR
PEER_CLOSED = select.EPOLLRDHUP

_BATCH = 64


class Timer:
    """A call at a time to come; `cancel` may be called at any time, also after it."""

    __slots__ = ("callback", "deadline")

    def __init__(self, deadline: float, callback: Callback) -> None:
        self.deadline = deadline
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Makes sure that it does not run (any more)."""
        self.callback = None


class Loop:
    """Descriptors and their handlers, timers, and one idle callback."""

    __slots__ = ("_dropped", "_epoll", "_handlers", "_idle", "_running", "_timers", "on_error")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._dropped: set[int] = set()
        self._timers: list[Timer] = []
        self._idle: tuple[float, Callback] | None = None
        self._running = False
        self.on_error: Callable[[BaseException], None] | None = None

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Calls `handler(events)` when one of `events` is there for `fd`; hang-ups and errors always are told."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def modify(self, fd: int, events: int) -> None:
        """Changes what `fd` is watched for."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Forgets `fd`, before it is closed; events of it already fetched are not delivered."""
        if self._handlers.pop(fd, None) is not None:
            self._dropped.add(fd)
            self._epoll.unregister(fd)

    def call_later(self, delay_s: float, callback: Callback) -> Timer:
        """Calls once, `delay_s` seconds from now at the earliest."""
        timer = Timer(time.monotonic() + delay_s, callback)
        self._timers.append(timer)
        return timer

    def when_idle(self, after_s: float, callback: Callback) -> None:
        """Calls once, when nothing has happened for `after_s` seconds; replaces an earlier wish."""
        self._idle = (after_s, callback)

    def stop(self) -> None:
        """Makes `run` return."""
        self._running = False

    def run(self) -> None:
        """Runs until `stop`."""
        self._running = True
        while self._running:
            timeout = self._timeout()
            events = self._epoll.poll(timeout, _BATCH)
            self._dropped.clear()
            for fd, mask in events:
                handler = self._handlers.get(fd)
                # A number that was closed in this round may be another file by now: its events come again.
                if handler is not None and fd not in self._dropped:
                    self._guarded(handler, mask)
            self._run_timers()
            if not events and self._idle is not None:
                self._run_idle()

    def close(self) -> None:
        """Gives the epoll descriptor back."""
        self._epoll.close()

    def _timeout(self) -> float | None:
        waits = [timer.deadline for timer in self._timers if timer.callback is not None]
        timeout = max(0.0, min(waits) - time.monotonic()) if waits else None
        if self._idle is not None and (timeout is None or timeout > self._idle[0]):
            timeout = self._idle[0]
        return timeout

    def _run_timers(self) -> None:
        if not self._timers:
            return
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.deadline <= now]
        self._timers = [t for t in self._timers if t.deadline > now and t.callback is not None]
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._guarded_call(callback)

    def _run_idle(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            self._guarded_call(idle[1])

    def _guarded(self, handler: Handler, mask: int) -> None:
        try:
            handler(mask)
        except Exception as error:  # noqa: BLE001  the edge of this process
            self._report(error)

    def _guarded_call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001  the edge of this process
            self._report(error)

    def _report(self, error: Exception) -> None:
        if self.on_error is not None:
            self.on_error(error)
