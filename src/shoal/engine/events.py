"""What happens, told to whoever listens (Docker API v1.50 SystemEvents).

The last 256 events are kept for `since`, as Docker keeps them. A subscriber that does not read loses the oldest of what
waits for it rather than hold the engine up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from shoal.api.event import EventActor, EventMessage
from shoal.api.filters import Filters
from shoal.engine.clock import Clock

_KEPT = 256
_WAITING = 10_000
_SWARM_KINDS = ("node", "service", "secret", "config")
NS = 1_000_000_000


class EventLog:
    """The events of one daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[EventMessage] = deque(maxlen=_KEPT)
        self._subscribers: set[_Subscriber] = set()

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._subscribers)

    def publish(self, type: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        """Tells everybody that `action` happened to the object `id` of `type` ("container", "image", "network", …)."""
        now_ns = self._clock()
        is_legacy = type in ("container", "image")
        message = EventMessage(
            type=type,
            action=action,
            actor=EventActor(id=id, attributes=dict(attributes)),
            scope="local",
            time=now_ns // NS,
            time_ns=now_ns,
            status=action if is_legacy else "",
            id=id if is_legacy else "",
            image=attributes.get("image", "") if type == "container" else "",
        )
        self._recent.append(message)
        for subscriber in self._subscribers:
            subscriber.put(message)

    def subscribe(self, since_ns: int | None, until_ns: int | None, filters: Filters) -> EventStream:
        """The kept events from `since_ns` on, then those to come from now on, up to `until_ns`.

        Without a beginning all that are kept, where there is an end, and none where there is not.
        """
        begin_ns = since_ns if since_ns is not None or until_ns is None else 0
        recent = [] if begin_ns is None else [message for message in self._recent if message.time_ns >= begin_ns]
        subscriber = _Subscriber(recent)
        self._subscribers.add(subscriber)
        return EventStream(subscriber, self._clock, until_ns, filters, self._subscribers.discard)


class EventStream:
    """The events that one listener gets; it listens until `aclose`, or until its time is over."""

    def __init__(
        self,
        subscriber: _Subscriber,
        clock: Clock,
        until_ns: int | None,
        filters: Filters,
        leave: Callable[[_Subscriber], None],
    ) -> None:
        self._subscriber = subscriber
        self._clock = clock
        self._until_ns = until_ns
        self._filters = filters
        self._leave = leave

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> EventMessage:
        while (message := await self._next()) is not None:
            if matches(message, self._filters):
                return message
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stops listening."""
        self._leave(self._subscriber)

    async def _next(self) -> EventMessage | None:
        """The next event; None once `until_ns` is past."""
        if self._until_ns is None:
            return await self._subscriber.get()
        left_s = (self._until_ns - self._clock()) / NS
        if left_s <= 0:
            message = self._subscriber.get_nowait()
        else:
            try:
                message = await asyncio.wait_for(self._subscriber.get(), left_s)
            except TimeoutError:
                return None
        return message if message is not None and message.time_ns <= self._until_ns else None


class _Subscriber:
    """What waits for one listener."""

    def __init__(self, waiting: Iterable[EventMessage]) -> None:
        self._waiting: deque[EventMessage] = deque(waiting, maxlen=_WAITING)
        self._arrived = asyncio.Event()

    def put(self, message: EventMessage) -> None:
        self._waiting.append(message)
        self._arrived.set()

    def get_nowait(self) -> EventMessage | None:
        return self._waiting.popleft() if self._waiting else None

    async def get(self) -> EventMessage:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


def matches(message: EventMessage, filters: Filters) -> bool:
    """Whether the event passes every named filter; of one filter any value will do."""
    attributes = message.actor.attributes
    subject = {message.actor.id, attributes.get("name", "")}
    for name in filters.names:
        values = filters.get(name)
        if name == "type":
            ok = message.type in values
        elif name == "event":
            ok = any(message.action == value or message.action.startswith(f"{value}:") for value in values)
        elif name in ("container", "network", "volume", "plugin", "daemon"):
            ok = message.type == name and any(_names(subject, value) for value in values)
        elif name == "image":
            image = {message.actor.id, attributes.get("name", "")} if message.type == "image" else set()
            ok = any(_names(image | {attributes.get("image", "")}, value) for value in values)
        elif name == "label":
            ok = filters.matches_labels(attributes)
        elif name == "scope":
            ok = message.scope in values
        else:
            ok = name not in _SWARM_KINDS  # a name that is no filter filters nothing, as with Docker
        if not ok:
            return False
    return True


def _names(subject: set[str], value: str) -> bool:
    return bool(value) and any(known == value or known.startswith(value) for known in subject if known)
