"""Events on the wire. Docker API v1.50 `EventMessage`."""

from __future__ import annotations

from msgspec import field

from shoal.api.wire import Wire


class EventActor(Wire, kw_only=True):
    """The object that an event is about, and what is known of it."""

    id: str = field(name="ID")
    attributes: dict[str, str]


class EventMessage(Wire, kw_only=True, omit_defaults=True):
    """Something happened to an object. `time` in Unix seconds, `time_ns` in nanoseconds.

    `status`, `id` and `image` are the fields of API 1.21, which clients still read for containers and images.
    """

    status: str = field(default="", name="status")
    id: str = field(default="", name="id")
    image: str = field(default="", name="from")
    type: str
    action: str
    actor: EventActor
    scope: str = field(name="scope")
    time: int = field(name="time")
    time_ns: int = field(name="timeNano")
